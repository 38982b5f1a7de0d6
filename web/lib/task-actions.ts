/**
 * What a person does to their tasks, each with what they are told afterwards and how it is undone.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { place } from "./order";
import type { NewTask, Task, TaskDraft } from "./tasks";
import type { Notices } from "./use-notice";
import type { Tasks } from "./use-tasks";

export interface TaskActions {
  /** These two throw where the service refuses: a form says so beside its fields. */
  create(draft: NewTask): Promise<void>;
  save(task: Task, changes: Partial<TaskDraft>): Promise<void>;
  /** These never throw: the notice says what failed. */
  toggle(task: Task): Promise<void>;
  discard(task: Task): Promise<void>;
  /** Puts `task` at `index` among the others of `ordered`. */
  move(ordered: readonly Task[], task: Task, index: number): Promise<void>;
}

/** The actions on `tasks`, told of by the notice. */
export function taskActions(tasks: Tasks, { say, attempt }: Notices): TaskActions {
  function toggle(task: Task): Promise<void> {
    const text = task.completed ? `Opened “${task.title}” again.` : `Completed “${task.title}”.`;
    const undo = { label: "Undo", run: () => void toggle({ ...task, completed: !task.completed }) };
    return attempt(() => tasks.complete(task, !task.completed), {
      text,
      tone: "done",
      ...(!task.completed && { action: undo }),
    });
  }

  return {
    toggle,
    async create(draft) {
      const task = await tasks.create(draft);
      say({ text: `Added “${task.title}”.`, tone: "done" });
    },
    async save(task, changes) {
      await tasks.update(task, changes);
      say({ text: `Saved “${changes.title ?? task.title}”.`, tone: "done" });
    },
    discard(task) {
      const restore = () => attempt(() => tasks.restore(task), { text: `“${task.title}” is back.`, tone: "done" });
      return attempt(() => tasks.remove(task), {
        text: `Deleted “${task.title}”.`,
        tone: "done",
        action: { label: "Undo", run: () => void restore() },
      });
    },
    async move(ordered, task, index) {
      const placements = place(ordered, task, index);
      if (placements.length === 0) return;
      await attempt(() => Promise.all(placements.map((placed) => tasks.move(placed.task, placed.position))), {
        text: `Moved “${task.title}” to place ${index + 1} of ${ordered.length}.`,
        tone: "done",
      });
    },
  };
}
