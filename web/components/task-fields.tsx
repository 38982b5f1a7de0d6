/**
 * The fields of a task beside its title, and how a form's content becomes a draft.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useId, type ReactNode } from "react";

import { toDateInput } from "@/lib/due";
import { PRIORITIES, type Priority, type Task, type TaskDraft } from "@/lib/tasks";

interface Props {
  /** The task that is edited; none: a new one. */
  task?: Task;
  /** Offered while a category is typed. */
  categories: readonly string[];
  /** Sentences of the service, by field. */
  errors: Readonly<Record<string, string>>;
}

export function TaskFields({ task, categories, errors }: Props) {
  const listId = useId();
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <Field label="Description" error={errors.description} className="sm:col-span-2">
        <textarea
          name="description"
          rows={3}
          className="field field-sizing-content max-h-64 min-h-20"
          defaultValue={task?.description ?? ""}
        />
      </Field>
      <PriorityField initial={task?.priority ?? "medium"} />
      <Field label="Due" error={errors.due_date}>
        <input name="due_date" type="date" className="field" defaultValue={toDateInput(task?.due_date ?? null)} />
      </Field>
      <Field label="Category" error={errors.category}>
        <input name="category" list={listId} autoComplete="off" className="field" defaultValue={task?.category ?? ""} />
        <datalist id={listId}>
          {categories.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </Field>
      <Field label="Tags, separated by commas" error={errors.tags}>
        <input name="tags" autoComplete="off" className="field" defaultValue={task?.tags.join(", ") ?? ""} />
      </Field>
    </div>
  );
}

function PriorityField({ initial }: { initial: Priority }) {
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-bold">Priority</legend>
      <div className="flex overflow-hidden rounded-md border border-edge bg-sheet">
        {PRIORITIES.map((priority) => (
          <label
            key={priority}
            className="flex-1 py-2 text-center text-sm capitalize transition-colors hover:bg-mist has-checked:bg-pine has-checked:text-on-pine has-focus-visible:outline-2 has-focus-visible:-outline-offset-2 has-focus-visible:outline-ink"
          >
            <input
              type="radio"
              name="priority"
              value={priority}
              className="sr-only"
              defaultChecked={priority === initial}
            />
            {priority}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface FieldProps {
  label: string;
  error?: string | undefined;
  className?: string;
  children: ReactNode;
}

/** A labelled control with the sentence about it underneath. */
export function Field({ label, error, className, children }: FieldProps) {
  return (
    <div className={className}>
      <label className="block">
        <span className="mb-1 block text-sm font-bold">{label}</span>
        {children}
      </label>
      {error && (
        <p role="alert" className="mt-1 text-sm text-alarm">
          {error}
        </p>
      )}
    </div>
  );
}

/**
 * Reads the form of a task. Empty text is null; `task` keeps its due time where the day was not touched:
 * the form shows a day, and other clients may have given a time.
 */
export function readDraft(form: FormData, task?: Task): TaskDraft {
  const text = (name: string) => String(form.get(name) ?? "").trim();
  const due = text("due_date");
  return {
    title: text("title"),
    description: text("description") || null,
    priority: PRIORITIES.find((priority) => priority === form.get("priority")) ?? "medium",
    category: text("category") || null,
    tags: text("tags")
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
    due_date: task && due === toDateInput(task.due_date) ? task.due_date : due || null,
  };
}
