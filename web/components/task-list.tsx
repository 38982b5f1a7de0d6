/**
 * The tasks under their headings, walked with the arrow keys, and put in order by dragging or with keys.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import { useEffect, useRef, type KeyboardEvent } from "react";

import { TaskRow, type RowActions } from "@/components/task-row";
import type { Group } from "@/lib/order";
import type { Task } from "@/lib/tasks";
import { useDrag } from "@/lib/use-drag";

interface Props extends RowActions {
  groups: readonly Group[];
  now: Date;
  /** Puts `task` at `index` among the other tasks of its group. */
  onMove(group: Group, task: Task, index: number): void;
}

export function TaskList({ groups, now, onMove, ...actions }: Props) {
  const list = useRef<HTMLDivElement>(null);
  /** The row that gets the focus when the one that had it leaves its place. */
  const successor = useRef<HTMLElement | null>(null);
  const [drag, beginDrag] = useDrag(list, ({ id, index }) => {
    const group = groups.find(({ isOrdered }) => isOrdered);
    const task = group?.tasks.find((candidate) => candidate.id === id);
    if (group && task) onMove(group, task, index);
  });

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
    if (step === undefined || event.altKey || !(event.target instanceof HTMLElement)) return;
    const row = event.target.closest("li");
    const all = stops();
    const index = all.findIndex((stop) => stop.closest("li") === row);
    all[index + step]?.focus();
    event.preventDefault();
  }

  /** Where the line that shows the place of a drop is drawn at a row. */
  function dropAt(group: Group, task: Task): "above" | "below" | undefined {
    if (!drag || !group.isOrdered || task.id === drag.id) return undefined;
    const others = group.tasks.filter(({ id }) => id !== drag.id);
    if (others[drag.index] === task) return "above";
    return drag.index === others.length && others.at(-1) === task ? "below" : undefined;
  }

  return (
    <div ref={list} onKeyDown={onKeyDown}>
      {groups.map((group) => (
        <section
          key={group.heading}
          aria-label={group.heading}
          className="border-b border-rule py-4 last:border-0 sm:flex"
        >
          <h2
            data-overdue={group.heading === "Overdue" || undefined}
            className="shrink-0 pt-2.5 pb-1 text-sm font-bold data-overdue:text-alarm sm:w-32"
          >
            {group.heading}
          </h2>
          <ul className="min-w-0 flex-1">
            {group.tasks.map((task, index) => (
              <TaskRow
                key={task.id}
                task={task}
                now={now}
                heading={group.heading}
                actions={actions}
                onLeave={leave}
                {...(group.isOrdered && {
                  order: {
                    isFirst: index === 0,
                    isLast: index === group.tasks.length - 1,
                    isDragged: drag?.id === task.id,
                    drop: dropAt(group, task),
                    onGrip: (event) => beginDrag(event, task.id),
                    onStep: (step) => onMove(group, task, index + step),
                  },
                })}
              />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
