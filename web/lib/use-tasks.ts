/**
 * The tasks on the screen: what is stored, with what is under way laid over it. A change is seen at once; when the
 * service refuses it, what lay over is taken away, and what is stored shows again.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import type { NewTask, Task, TaskDraft, TasksApi } from "./tasks";

export interface Tasks {
  /** Null until they are loaded for the first time. */
  tasks: Task[] | null;
  /** Why the last load failed; null after one that did not. */
  failure: unknown;
  reload(): Promise<void>;
  /** The rest throw what the API throws, after the screen says again what is stored. */
  create(draft: NewTask): Promise<Task>;
  /** Not seen before it is stored: the service may have something to say about it. */
  update(task: Task, changes: Partial<TaskDraft>): Promise<void>;
  complete(task: Task, completed: boolean): Promise<void>;
  move(task: Task, position: number): Promise<void>;
  remove(task: Task): Promise<void>;
  restore(task: Task): Promise<void>;
}

type Change = (tasks: Task[]) => Task[];

const nothing: Change = (tasks) => tasks;
const without =
  (id: string): Change =>
  (tasks) =>
    tasks.filter((task) => task.id !== id);
const withTask =
  (added: Task): Change =>
  (tasks) => [added, ...without(added.id)(tasks)];
const changed =
  (id: string, members: Partial<Task>): Change =>
  (tasks) =>
    tasks.map((task) => (task.id === id ? { ...task, ...members } : task));

/** Loads the tasks of `api` and keeps them; loads again when the page comes back into view, or the network back. */
export function useTasks(api: TasksApi): Tasks {
  const [stored, setStored] = useState<Task[] | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [underWay, setUnderWay] = useState<readonly Change[]>([]);
  /** The last change of each task: its next one waits for it, or answers could arrive in the other order. */
  const last = useRef(new Map<string, Promise<unknown>>());
  const ended = useRef(0);

  const reload = useCallback(async () => {
    try {
      let tasks: Task[], before: number;
      // A list that was read while a change ended may be without that change.
      do {
        before = ended.current;
        tasks = await api.list();
      } while (before !== ended.current);
      setStored(tasks);
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
    window.addEventListener("online", reloadWhenVisible);
    return () => {
      document.removeEventListener("visibilitychange", reloadWhenVisible);
      window.removeEventListener("online", reloadWhenVisible);
    };
  }, [reload]);

  /** Shows `expected` until `work` ends, then `outcome` of what it answers. */
  async function perform<T>(
    id: string,
    expected: Change,
    work: () => Promise<T>,
    outcome: (answer: T) => Change,
  ): Promise<T> {
    setUnderWay((changes) => [...changes, expected]);
    const mine = (last.current.get(id) ?? Promise.resolve()).then(work, work);
    last.current.set(id, mine);
    try {
      const answer = await mine;
      setStored((tasks) => tasks && outcome(answer)(tasks));
      return answer;
    } finally {
      ended.current += 1;
      setUnderWay((changes) => changes.filter((change) => change !== expected));
      if (last.current.get(id) === mine) last.current.delete(id);
    }
  }

  const put = (task: Task): Change => changed(task.id, task);

  return {
    tasks: useMemo(() => stored && underWay.reduce((tasks, change) => change(tasks), stored), [stored, underWay]),
    failure,
    reload,
    create(draft) {
      const expected = unstored(draft);
      return perform(expected.id, withTask(expected), () => api.create(draft), withTask);
    },
    async update({ id, version }, changes) {
      await perform(id, nothing, () => api.update(id, changes, version), put);
    },
    async complete({ id }, completed) {
      const expected = { completed, completed_at: completed ? new Date().toISOString() : null };
      await perform(id, changed(id, expected), () => api.setCompleted(id, completed), put);
    },
    async move({ id }, position) {
      await perform(id, changed(id, { position }), () => api.setPosition(id, position), put);
    },
    remove({ id }) {
      return perform(
        id,
        without(id),
        () => api.remove(id),
        () => without(id),
      );
    },
    async restore(task) {
      await perform(task.id, withTask(task), () => api.restore(task.id), withTask);
    },
  };
}

/** True for a task that the service has; one that it does not have yet cannot be changed. */
export function isStored(task: Task): boolean {
  return task.version > 0;
}

/** `draft` as the task that it will be, as far as the page can tell. */
function unstored(draft: NewTask): Task {
  const now = new Date();
  return {
    id: `new-${now.getTime()}-${Math.random()}`,
    user_id: "",
    description: null,
    status: "pending",
    completed: false,
    completed_at: null,
    priority: "medium",
    category: null,
    category_id: null,
    tags: [],
    due_date: null,
    position: now.getTime(),
    version: 0,
    created_at: now.toISOString(),
    updated_at: now.toISOString(),
    ...draft,
  };
}
