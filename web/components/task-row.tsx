/**
 * One task: tick it, open it, delete it, and where the order is the person's own, move it.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import { useId, type KeyboardEvent, type PointerEvent } from "react";

import { TaskFacts } from "@/components/task-facts";
import type { Priority, Task } from "@/lib/tasks";
import { isStored } from "@/lib/use-tasks";

export interface RowActions {
  onComplete(task: Task): void;
  onEdit(task: Task): void;
  onDelete(task: Task): void;
  onTag(tag: string): void;
}

/** A row's part in an order that a person makes. */
interface Order {
  isFirst: boolean;
  isLast: boolean;
  isDragged: boolean;
  /** On which side of the row what is dragged would be dropped. */
  drop: "above" | "below" | undefined;
  onGrip(event: PointerEvent): void;
  onStep(step: 1 | -1): void;
}

interface Props {
  task: Task;
  now: Date;
  /** What the row is listed under. */
  heading: string;
  actions: RowActions;
  order?: Order;
  /** Called with an element of the row before the row leaves its place. */
  onLeave(element: HTMLElement): void;
}

const RINGS: Record<Priority, string> = {
  low: "border-[1.5px] border-dashed border-edge",
  medium: "border-[1.5px] border-quiet",
  high: "border-amber border-2",
  urgent: "border-alarm border-[3px]",
};

/** Shown when somebody is at the row; where there is no pointer that could be, always. */
const WHEN_NEAR =
  "opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 [@media(hover:none)]:opacity-100";

export function TaskRow({ task, now, heading, actions, order, onLeave }: Props) {
  const factsId = useId();

  function leaving(element: HTMLElement, action: (task: Task) => void) {
    onLeave(element);
    action(task);
  }

  function onKeyDown(event: KeyboardEvent<HTMLElement>) {
    const element = event.currentTarget;
    const pressed: Record<string, () => void> = event.altKey
      ? { ArrowUp: () => order?.isFirst || order?.onStep(-1), ArrowDown: () => order?.isLast || order?.onStep(1) }
      : {
          Enter: () => actions.onEdit(task),
          " ": () => leaving(element, actions.onComplete),
          Delete: () => leaving(element, actions.onDelete),
          Backspace: () => leaving(element, actions.onDelete),
        };
    const action = pressed[event.key];
    // The box is ticked by the browser.
    if (!action || (event.key === " " && element instanceof HTMLInputElement)) return;
    event.preventDefault();
    action();
  }

  return (
    <li
      // What the service does not have yet cannot be changed.
      inert={!isStored(task)}
      data-movable={order && isStored(task) ? task.id : undefined}
      data-dragged={order?.isDragged || undefined}
      data-drop={order?.drop}
      className="arrive drop-line group flex items-start gap-3 rounded-lg px-2 transition-colors focus-within:bg-mist hover:bg-mist data-dragged:opacity-50"
    >
      {order && <span aria-hidden className="grip -ml-2" onPointerDown={order.onGrip} />}
      <input
        type="checkbox"
        checked={task.completed}
        aria-label={`Completed: ${task.title}`}
        onKeyDown={onKeyDown}
        onChange={(event) => leaving(event.currentTarget, actions.onComplete)}
        className={`tick mt-2.5 ${RINGS[task.priority]}`}
      />
      <div className="min-w-0 flex-1 py-2 wrap-anywhere">
        <button
          type="button"
          data-stop
          aria-describedby={factsId}
          onClick={() => actions.onEdit(task)}
          onKeyDown={onKeyDown}
          // The space bar presses a button when it comes up again; here it has completed the task by then.
          onKeyUp={(event) => event.key === " " && event.preventDefault()}
          data-completed={task.completed || undefined}
          className="w-full text-left decoration-1 data-completed:text-quiet data-completed:line-through"
        >
          {task.title}
        </button>
        <TaskFacts id={factsId} task={task} now={now} heading={heading} onTag={actions.onTag} />
      </div>
      {order && (
        <div className={`mt-1 flex ${WHEN_NEAR}`}>
          <StepButton label={`Move up: ${task.title}`} isOff={order.isFirst} onPress={() => order.onStep(-1)}>
            ↑
          </StepButton>
          <StepButton label={`Move down: ${task.title}`} isOff={order.isLast} onPress={() => order.onStep(1)}>
            ↓
          </StepButton>
        </div>
      )}
      <button
        type="button"
        aria-label={`Delete: ${task.title}`}
        onClick={(event) => leaving(event.currentTarget, actions.onDelete)}
        // A phone has no room for all of them; the dialog deletes, too.
        className={`button-quiet mt-1 text-sm ${WHEN_NEAR} ${order ? "max-sm:hidden" : ""}`}
      >
        Delete
      </button>
    </li>
  );
}

interface StepButtonProps {
  label: string;
  /** Said, not `disabled`: at the end of the way the button must not lose the focus. */
  isOff: boolean;
  onPress(): void;
  children: string;
}

function StepButton({ label, isOff, onPress, children }: StepButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      aria-disabled={isOff}
      onClick={() => isOff || onPress()}
      className="button-quiet text-sm aria-disabled:opacity-40"
    >
      <span aria-hidden>{children}</span>
    </button>
  );
}
