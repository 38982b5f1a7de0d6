/** What is known of a task beside its title, as one quiet line. Task: T-058 · Spec: plan.md#web-page */
"use client";

import { describeDue, isOverdue } from "@/lib/due";
import type { Task } from "@/lib/tasks";

interface Props {
  /** For the title, which is described by this. */
  id: string;
  task: Task;
  now: Date;
  /** What the task is listed under: said there, it is not said again. */
  heading: string;
  onTag(tag: string): void;
}

export function TaskFacts({ id, task, now, heading, onTag }: Props) {
  const { completed, priority, due_date: due, category, tags, description } = task;
  const isLate = !completed && isOverdue(due, now);
  const when = due && !completed ? describeDue(due, now) : null;
  const facts = [
    when && when !== heading.toLowerCase() && (
      <span key="due" className={isLate ? "font-bold text-alarm" : undefined}>
        {when}
      </span>
    ),
    !completed && priority === "urgent" && (
      <span key="priority" className="font-bold text-alarm">
        urgent
      </span>
    ),
    !completed && priority === "high" && (
      <span key="priority" className="text-amber">
        high priority
      </span>
    ),
    category && <span key="category">{category}</span>,
    ...tags.map((tag) => (
      <button
        key={`tag ${tag}`}
        type="button"
        title={`Show what is tagged ${tag}`}
        className="min-h-6 hover:text-ink hover:underline"
        onClick={() => onTag(tag)}
      >
        #{tag}
      </button>
    )),
    description && (
      <span key="description" className="max-w-full truncate">
        {description}
      </span>
    ),
  ].filter(Boolean);
  if (facts.length === 0) return null;
  return (
    <p id={id} className="mt-0.5 flex flex-wrap items-center gap-x-3 text-sm text-quiet">
      {facts}
    </p>
  );
}
