/**
 * One line to write a task in, and the rest of its fields for whoever wants them.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import { useId, useState, type RefObject } from "react";

import { readDraft, TaskFields } from "@/components/task-fields";
import type { NewTask } from "@/lib/tasks";
import { useSubmit } from "@/lib/use-submit";

interface Props {
  inputRef: RefObject<HTMLInputElement | null>;
  categories: readonly string[];
  /** Throws where the service refuses. */
  onCreate(draft: NewTask): Promise<void>;
}

/**
 * A title alone leaves the line at once, so that the next one can be typed, and comes back when it is refused.
 * With its details open the form waits for the service.
 */
export function QuickAdd({ inputRef, categories, onCreate }: Props) {
  const [isDetailed, setIsDetailed] = useState(false);
  /** A refused title that cannot come back: something else stands in the line by now. */
  const [lost, setLost] = useState<string | null>(null);
  const { isPending, failure, fields, submit } = useSubmit(async (form) => {
    setLost(null);
    const data = new FormData(form);
    if (isDetailed) {
      await onCreate(readDraft(data));
      form.reset();
      setIsDetailed(false);
      inputRef.current?.focus();
      return;
    }
    const title = String(data.get("title"));
    form.reset();
    try {
      await onCreate({ title });
    } catch (error) {
      const line = inputRef.current;
      if (line?.value) setLost(title);
      else if (line) line.value = title;
      throw error;
    }
  });
  const errorId = useId();
  const titleError = fields.title ?? (Object.keys(fields).length === 0 ? failure : null);

  return (
    <form
      onSubmit={(event) => (isDetailed && isPending ? event.preventDefault() : submit(event))}
      aria-label="New task"
      className="mt-10"
    >
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
        <button className="button-primary text-sm" disabled={isDetailed && isPending}>
          Add
        </button>
      </div>
      <p id={errorId} role="alert" className="pt-2 text-sm text-alarm empty:hidden">
        {titleError !== null && lost !== null && `“${lost}” was not added. `}
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
