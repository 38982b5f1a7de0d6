/**
 * The tasks under their headings, walked with the arrow keys.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useEffect, useRef, type KeyboardEvent } from "react";

import { TaskRow } from "@/components/task-row";
import type { Group } from "@/lib/filter";
import type { Task } from "@/lib/tasks";

interface Props {
  groups: readonly Group[];
  now: Date;
  onComplete(task: Task): void;
  onEdit(task: Task): void;
  onDelete(task: Task): void;
}

export function TaskList({ groups, now, onComplete, onEdit, onDelete }: Props) {
  const list = useRef<HTMLDivElement>(null);
  /** The row that gets the focus when the one that had it leaves its place. */
  const successor = useRef<HTMLElement | null>(null);

  useEffect(() => {
    if (document.activeElement === document.body) successor.current?.focus();
    successor.current = null;
  }, [groups]);

  const stops = () => [...(list.current?.querySelectorAll<HTMLElement>("[data-stop]") ?? [])];

  function leave(element: HTMLElement) {
    const all = stops();
    const index = all.findIndex((stop) => stop.closest("li") === element.closest("li"));
    successor.current = all[index + 1] ?? all[index - 1] ?? null;
  }

  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || !(event.target instanceof HTMLElement)) return;
    const row = event.target.closest("li");
    const all = stops();
    const index = all.findIndex((stop) => stop.closest("li") === row);
    all[index + step]?.focus();
    event.preventDefault();
  }

  return (
    <div ref={list} onKeyDown={onKeyDown}>
      {groups.map(({ heading, tasks }) => (
        <section key={heading} aria-label={heading} className="border-b border-rule py-4 last:border-0 sm:flex">
          <h2
            data-overdue={heading === "Overdue" || undefined}
            className="shrink-0 pt-2.5 pb-1 text-sm font-bold data-overdue:text-alarm sm:w-32"
          >
            {heading}
          </h2>
          <ul className="min-w-0 flex-1">
            {tasks.map((task) => (
              <TaskRow
                key={task.id}
                task={task}
                now={now}
                onLeave={leave}
                onComplete={() => onComplete(task)}
                onEdit={() => onEdit(task)}
                onDelete={() => onDelete(task)}
              />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
