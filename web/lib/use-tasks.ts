/**
 * The tasks on the screen: loaded, changed at once where that is safe, and put back when the service refuses.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { startTransition, useCallback, useEffect, useOptimistic, useRef, useState } from "react";

import type { Task, TaskDraft, TasksApi } from "./tasks";

export interface Tasks {
  /** Null until they are loaded for the first time. */
  tasks: Task[] | null;
  /** Why the last load failed; null after one that did not. */
  failure: unknown;
  reload(): Promise<void>;
  /** The rest throw what the API throws, after the screen says again what is stored. */
  create(draft: Partial<TaskDraft>): Promise<Task>;
  update(task: Task, changes: Partial<TaskDraft>): Promise<void>;
  /** Ignored while the same task is being completed or opened again: answers could arrive in the other order. */
  complete(task: Task, completed: boolean): Promise<void>;
  remove(task: Task): Promise<void>;
}

type Change = { replace: Task } | { remove: Task } | { add: Task };

function apply(tasks: Task[] | null, change: Change): Task[] | null {
  if (tasks === null) return null;
  if ("add" in change) return [change.add, ...tasks];
  if ("remove" in change) return tasks.filter((task) => task.id !== change.remove.id);
  return tasks.map((task) => (task.id === change.replace.id ? change.replace : task));
}

/** Loads the tasks of `api` and keeps them; loads again when the page comes back into view. */
export function useTasks(api: TasksApi): Tasks {
  const [stored, setStored] = useState<Task[] | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [tasks, showOptimistically] = useOptimistic(stored, apply);
  const busy = useRef(new Set<string>());

  const reload = useCallback(async () => {
    try {
      setStored(await api.list());
      setFailure(null);
    } catch (error) {
      setFailure(error);
    }
  }, [api]);

  useEffect(() => {
    const reloadWhenVisible = () => {
      if (document.visibilityState === "visible") void reload();
    };
    void reload();
    document.addEventListener("visibilitychange", reloadWhenVisible);
    return () => document.removeEventListener("visibilitychange", reloadWhenVisible);
  }, [reload]);

  const store = (change: Change) => setStored((current) => apply(current, change));

  /** Shows `expected` while `work` runs. React drops it when the work ends: what is stored then is what is shown. */
  function optimistically(expected: Change, work: () => Promise<Change>): Promise<void> {
    return new Promise((resolve, reject) => {
      startTransition(async () => {
        showOptimistically(expected);
        await work().then(store).then(resolve, reject);
      });
    });
  }

  return {
    tasks,
    failure,
    reload,
    async create(draft) {
      const task = await api.create(draft);
      store({ add: task });
      return task;
    },
    async update(task, changes) {
      store({ replace: await api.update(task, changes) });
    },
    async complete(task, completed) {
      if (busy.current.has(task.id)) return;
      busy.current.add(task.id);
      const expected = { ...task, completed, completed_at: completed ? new Date().toISOString() : null };
      try {
        await optimistically({ replace: expected }, async () => ({ replace: await api.setCompleted(task, completed) }));
      } finally {
        busy.current.delete(task.id);
      }
    },
    remove(task) {
      return optimistically({ remove: task }, async () => {
        await api.remove(task);
        return { remove: task };
      });
    },
  };
}
