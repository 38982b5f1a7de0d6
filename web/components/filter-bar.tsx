/**
 * Chooses which tasks are shown.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import type { RefObject } from "react";

import { NO_FILTER, STATUSES, type Filter, type Status } from "@/lib/filter";
import { PRIORITIES, type Priority } from "@/lib/tasks";

interface Props {
  filter: Filter;
  counts: Record<Status, number>;
  categories: readonly string[];
  searchRef: RefObject<HTMLInputElement | null>;
  onChange(filter: Filter): void;
}

export function FilterBar({ filter, counts, categories, searchRef, onChange }: Props) {
  const change = (part: Partial<Filter>) => onChange({ ...filter, ...part });
  const choice = "-ml-1 bg-transparent py-1.5 text-quiet hover:text-ink sm:ml-0";
  return (
    <search className="mt-12 flex flex-wrap items-center gap-x-5 gap-y-2 border-b border-rule pb-3 text-sm">
      <div role="group" aria-label="Show" className="flex gap-5">
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            aria-pressed={filter.status === status}
            onClick={() => change({ status })}
            className="-mb-px border-b-2 border-transparent py-1.5 text-quiet capitalize hover:text-ink aria-pressed:border-pine aria-pressed:font-bold aria-pressed:text-ink"
          >
            {status} <span className="ml-0.5 font-normal text-quiet tabular-nums">{counts[status]}</span>
          </button>
        ))}
      </div>
      <div className="flex flex-1 flex-wrap items-center gap-x-4 gap-y-2 max-sm:basis-full sm:justify-end">
        <select
          aria-label="Category"
          value={filter.category}
          onChange={(event) => change({ category: event.target.value })}
          className={`${choice} max-w-40`}
        >
          <option value="">Any category</option>
          {categories.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <select
          aria-label="Priority"
          value={filter.priority}
          onChange={(event) => change({ priority: event.target.value as Priority | "" })}
          className={choice}
        >
          <option value="">Any priority</option>
          {PRIORITIES.map((priority) => (
            <option key={priority} value={priority}>
              {priority.replace(/^./, (first) => first.toUpperCase())}
            </option>
          ))}
        </select>
        <input
          ref={searchRef}
          type="search"
          aria-label="Search"
          placeholder="Search"
          value={filter.search}
          onChange={(event) => change({ search: event.target.value })}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            change({ search: NO_FILTER.search });
            event.currentTarget.blur();
          }}
          className="field min-w-28 flex-1 py-1.5 max-sm:basis-full sm:max-w-44"
        />
      </div>
    </search>
  );
}
