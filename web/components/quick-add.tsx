/**
 * One line to write a task in, and the rest of its fields for whoever wants them.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useId, useState, type RefObject } from "react";

import { readDraft, TaskFields } from "@/components/task-fields";
import type { TaskDraft } from "@/lib/tasks";
import { useSubmit } from "@/lib/use-submit";

interface Props {
  inputRef: RefObject<HTMLInputElement | null>;
  categories: readonly string[];
  onCreate(draft: Partial<TaskDraft>): Promise<void>;
}

/** Keeps what was typed until the service has it; afterwards the next task can be typed at once. */
export function QuickAdd({ inputRef, categories, onCreate }: Props) {
  const [isDetailed, setIsDetailed] = useState(false);
  const { isPending, failure, fields, submit } = useSubmit(async (form) => {
    await onCreate(isDetailed ? readDraft(new FormData(form)) : { title: String(new FormData(form).get("title")) });
    form.reset();
    setIsDetailed(false);
    inputRef.current?.focus();
  });
  const errorId = useId();
  const titleError = fields.title ?? (Object.keys(fields).length === 0 ? failure : null);

  return (
    <form onSubmit={submit} aria-label="New task" className="mt-10">
      <div className="flex items-center gap-2 border-b-2 border-ink focus-within:border-pine">
        <input
          ref={inputRef}
          name="title"
          required
          autoComplete="off"
          placeholder="What needs doing?"
          aria-label="Title of the new task"
          aria-invalid={titleError !== null}
          aria-describedby={errorId}
          className="min-w-0 flex-1 bg-transparent py-3 text-xl outline-none placeholder:text-quiet"
        />
        <button
          type="button"
          className="button-quiet text-sm"
          aria-expanded={isDetailed}
          onClick={() => setIsDetailed(!isDetailed)}
        >
          Details
        </button>
        <button className="button-primary text-sm" disabled={isPending}>
          Add
        </button>
      </div>
      <p id={errorId} role="alert" className="pt-2 text-sm text-alarm empty:hidden">
        {titleError}
      </p>
      {isDetailed && (
        <div className="arrive mt-5">
          <TaskFields categories={categories} errors={fields} />
        </div>
      )}
    </form>
  );
}
