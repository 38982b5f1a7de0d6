/**
 * Chooses which tasks are shown, and in which order.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import type { RefObject } from "react";

import { Choice } from "@/components/choice";
import { isNarrowed, STATUSES, widened, type Due, type Sort, type Status, type View } from "@/lib/view";
import type { Priority } from "@/lib/tasks";

interface Props {
  view: View;
  counts: Record<Status, number>;
  /** How many tasks the view lets through. */
  shown: number;
  categories: readonly string[];
  tags: readonly string[];
  searchRef: RefObject<HTMLInputElement | null>;
  onChange(view: View): void;
}

const PRIORITY_NAMES: [Priority | "", string][] = [
  ["", "Any priority"],
  ["low", "Low"],
  ["medium", "Medium"],
  ["high", "High"],
  ["urgent", "Urgent"],
];
const DUE_NAMES: [Due | "", string][] = [
  ["", "Any date"],
  ["overdue", "Overdue"],
  ["today", "Today"],
  ["week", "Next 7 days"],
  ["none", "No date"],
];
const SORT_NAMES: [Sort, string][] = [
  ["due", "By due date"],
  ["position", "In my order"],
  ["priority", "By priority"],
  ["title", "By title"],
  ["created", "Newest first"],
];

export function ViewBar({ view, counts, shown, categories, tags, searchRef, onChange }: Props) {
  const change = (part: Partial<View>) => onChange({ ...view, ...part });
  return (
    <search className="mt-12 block border-b border-rule pb-2 text-sm">
      <div className="flex flex-wrap items-center justify-between gap-x-5 gap-y-2">
        <div role="group" aria-label="Show" className="flex gap-5">
          {STATUSES.map((status) => (
            <button
              key={status}
              type="button"
              aria-pressed={view.status === status}
              onClick={() => change({ status })}
              className="border-b-2 border-transparent py-1.5 text-quiet capitalize hover:text-ink aria-pressed:border-pine aria-pressed:font-bold aria-pressed:text-ink"
            >
              {status} <span className="ml-0.5 font-normal text-quiet tabular-nums">{counts[status]}</span>
            </button>
          ))}
        </div>
        <input
          ref={searchRef}
          type="search"
          aria-label="Search"
          placeholder="Search"
          value={view.search}
          onChange={(event) => change({ search: event.target.value })}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            change({ search: "" });
            event.currentTarget.blur();
          }}
          className="field py-1.5 sm:max-w-56"
        />
      </div>
      <div className="mt-2 flex flex-wrap items-center gap-x-4">
        <Choice
          label="Category"
          value={view.category}
          options={named("Any category", view.category, categories)}
          onChange={(category) => change({ category })}
        />
        <Choice
          label="Priority"
          value={view.priority}
          options={PRIORITY_NAMES}
          onChange={(priority) => change({ priority })}
        />
        <Choice
          label="Tag"
          value={view.tag}
          options={named("Any tag", view.tag, tags)}
          onChange={(tag) => change({ tag })}
        />
        <Choice label="Due" value={view.due} options={DUE_NAMES} onChange={(due) => change({ due })} />
        <span className="sm:ml-auto">
          <Choice label="Sort" value={view.sort} options={SORT_NAMES} onChange={(sort) => change({ sort })} />
        </span>
      </div>
      {/* Always in the page: a live region is announced only when it was there before its text. */}
      <p role="status" className="text-quiet">
        {isNarrowed(view) && (
          <>
            {shown} of {counts.all} shown.{" "}
            <button
              type="button"
              className="py-1 text-pine underline underline-offset-4"
              onClick={() => onChange(widened(view))}
            >
              Show all
            </button>
          </>
        )}
      </p>
    </search>
  );
}

/** Names as options; the chosen one stays among them when the last task that had it is gone. */
function named(any: string, chosen: string, names: readonly string[]): [string, string][] {
  const all = chosen && !names.includes(chosen) ? [chosen, ...names] : names;
  return [["", any], ...all.map((name): [string, string] => [name, name])];
}
