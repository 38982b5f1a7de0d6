/**
 * The tasks API as the page uses it: what a task is, and a function for every verb.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { Problem } from "./failures";
import type { Send } from "./gateway";

export const PRIORITIES = ["low", "medium", "high", "urgent"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** What a person writes; the rest is the service's. */
export interface TaskDraft {
  title: string;
  description: string | null;
  priority: Priority;
  /** A category's name; found or created by the service. */
  category: string | null;
  tags: string[];
  /** RFC 3339 date or date-time. */
  due_date: string | null;
}

export interface Task extends TaskDraft {
  id: string;
  completed: boolean;
  completed_at: string | null;
  version: number;
  created_at: string;
}

export interface TasksApi {
  /** Every task of the user. */
  list(): Promise<Task[]>;
  create(draft: Partial<TaskDraft>): Promise<Task>;
  /** Changes the members in `changes`; 412 where somebody changed the task since `task` was read. */
  update(task: Task, changes: Partial<TaskDraft>): Promise<Task>;
  setCompleted(task: Task, completed: boolean): Promise<Task>;
  /** Deletes; a task that is gone already is no error. */
  remove(task: Task): Promise<void>;
}

/** Makes the tasks API over `send`. */
export function createTasksApi(send: Send): TasksApi {
  const path = (task: Task) => `/api/tasks/${task.id}`;
  const json = async (response: Promise<Response>) => (await (await response).json()) as Task;

  return {
    async list() {
      const tasks: Task[] = [];
      let reference: string | null = "/api/tasks";
      while (reference) {
        const response: Response = await send(reference);
        tasks.push(...((await response.json()) as Task[]));
        reference = nextPage(reference, response);
      }
      return tasks;
    },
    create: (draft) => json(send("/api/tasks", { method: "POST", body: draft })),
    update: (task, changes) => json(send(path(task), { method: "PATCH", body: changes, ifVersion: task.version })),
    setCompleted: (task, completed) => json(send(`${path(task)}/complete`, { method: "PATCH", body: { completed } })),
    async remove(task) {
      try {
        await send(path(task), { method: "DELETE" });
      } catch (error) {
        if (!(error instanceof Problem && error.status === 404)) throw error;
      }
    },
  };
}

/**
 * The reference in `Link: <…>; rel="next"` (RFC 8288), resolved against the one that was asked; null on the last page.
 * Path and query only: a token goes to the gateway, whatever the link says.
 */
function nextPage(reference: string, response: Response): string | null {
  const target = /<([^>]*)>\s*;[^,]*rel="?next"?/.exec(response.headers.get("Link") ?? "")?.[1];
  if (target === undefined) return null;
  const { pathname, search } = new URL(target, new URL(reference, "http://gateway"));
  return pathname + search;
}

/** What a person wrote of `task`, and nothing that the service added. */
export function draftOf({ title, description, priority, category, tags, due_date }: Task): TaskDraft {
  return { title, description, priority, category, tags, due_date };
}

/** The members of `draft` that differ from `task`: a merge patch names nothing else. */
export function changesBetween(task: TaskDraft, draft: TaskDraft): Partial<TaskDraft> {
  const keys = Object.keys(draft) as (keyof TaskDraft)[];
  const changed = keys.filter((key) => JSON.stringify(task[key]) !== JSON.stringify(draft[key]));
  return Object.fromEntries(changed.map((key) => [key, draft[key]]));
}
