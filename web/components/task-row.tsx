/**
 * One task: tick it, open it, delete it.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import type { KeyboardEvent } from "react";

import { describeDue, isOverdue, periodOf } from "@/lib/due";
import type { Priority, Task } from "@/lib/tasks";

interface Props {
  task: Task;
  now: Date;
  /** Called with an element of the row before the row leaves its place. */
  onLeave(element: HTMLElement): void;
  onComplete(): void;
  onEdit(): void;
  onDelete(): void;
}

const RINGS: Record<Priority, string> = {
  low: "border-[1.5px] border-dashed border-edge",
  medium: "border-[1.5px] border-quiet",
  high: "border-amber border-2",
  urgent: "border-alarm border-[3px]",
};

export function TaskRow({ task, now, onLeave, onComplete, onEdit, onDelete }: Props) {
  function leaving(element: HTMLElement, action: () => void) {
    onLeave(element);
    action();
  }

  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    const element = event.currentTarget;
    const actions: Record<string, () => void> = {
      Enter: onEdit,
      " ": () => leaving(element, onComplete),
      Delete: () => leaving(element, onDelete),
      Backspace: () => leaving(element, onDelete),
    };
    const action = actions[event.key];
    // The box is ticked by the browser.
    if (!action || (event.key === " " && element instanceof HTMLInputElement)) return;
    event.preventDefault();
    action();
  }

  return (
    <li className="arrive group flex items-start gap-3 rounded-lg px-2 transition-colors focus-within:bg-mist hover:bg-mist">
      <input
        type="checkbox"
        checked={task.completed}
        aria-label={`Completed: ${task.title}`}
        onKeyDown={onKeyDown}
        onChange={(event) => leaving(event.currentTarget, onComplete)}
        className={`tick mt-2.5 ${RINGS[task.priority]}`}
      />
      <button
        type="button"
        data-stop
        onClick={onEdit}
        onKeyDown={onKeyDown}
        // The space bar presses a button when it comes up again; here it has completed the task by then.
        onKeyUp={(event) => event.key === " " && event.preventDefault()}
        className="min-w-0 flex-1 py-2 text-left wrap-anywhere"
      >
        <span
          data-completed={task.completed || undefined}
          className="decoration-1 data-completed:text-quiet data-completed:line-through"
        >
          {task.title}
        </span>
        <Facts task={task} now={now} />
      </button>
      <button
        type="button"
        aria-label={`Delete: ${task.title}`}
        onClick={(event) => leaving(event.currentTarget, onDelete)}
        className="button-quiet mt-1 text-sm opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 [@media(hover:none)]:opacity-100"
      >
        Delete
      </button>
    </li>
  );
}

/** What is known of a task beside its title, as one quiet line. */
function Facts({ task, now }: { task: Task; now: Date }) {
  const { completed, priority, due_date: due, category, tags, description } = task;
  const isLate = !completed && isOverdue(due, now);
  const when = due && !completed ? describeDue(due, now) : null;
  const facts = [
    // “today” says nothing under the heading “Today”.
    when && when !== periodOf(due, now).toLowerCase() && (
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
    ...tags.map((tag) => <span key={`tag ${tag}`}>#{tag}</span>),
    description && (
      <span key="description" className="max-w-full truncate">
        {description}
      </span>
    ),
  ].filter(Boolean);
  if (facts.length === 0) return null;
  return <span className="mt-0.5 flex flex-wrap gap-x-3 text-sm text-quiet">{facts}</span>;
}
