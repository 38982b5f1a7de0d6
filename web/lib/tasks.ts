/**
 * The tasks API as the page uses it: what a task is, and a function for every verb.
 * The shapes are those of the gateway's OpenAPI document (openapi.d.ts, made by `npm run api-types` in tests/).
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { Problem, Unreachable } from "./failures";
import type { Send } from "./gateway";
import type { components, paths } from "./openapi";

export type Task = components["schemas"]["TaskPublic"];
export type Priority = Task["priority"];

/** From the least to the most urgent. */
export const PRIORITIES = ["low", "medium", "high", "urgent"] as const satisfies readonly Priority[];

/** What a person writes of a task; the rest is the service's. */
export type TaskDraft = Pick<Task, "title" | "description" | "priority" | "category" | "tags" | "due_date">;

/** A draft of which only the title is needed. */
export type NewTask = Pick<TaskDraft, "title"> & Partial<TaskDraft>;

export interface TasksApi {
  /** Every task of the user. */
  list(): Promise<Task[]>;
  /** A draft that is sent again after no answer came is carried out once. */
  create(draft: NewTask): Promise<Task>;
  /** Changes the members in `changes`; 412 where the task is not of `version` any more. */
  update(id: string, changes: Partial<TaskDraft>, version: number): Promise<Task>;
  setCompleted(id: string, completed: boolean): Promise<Task>;
  setPosition(id: string, position: number): Promise<Task>;
  /** Puts a task into the trash; one that is gone already is no error. */
  remove(id: string): Promise<void>;
  /** Takes a task out of the trash, as it was. */
  restore(id: string): Promise<Task>;
}

const TASKS = "/api/tasks" satisfies keyof paths;

/** For changes that hold whatever else was changed. Said, because a service can be set to require an `If-Match`. */
const ANY_VERSION = "*";

/** Makes the tasks API over `send`. */
export function createTasksApi(send: Send): TasksApi {
  /** The keys of drafts that got no answer: the service may have them all the same. */
  const unanswered = new Map<string, string>();
  const path = (id: string) => `${TASKS}/${id}`;
  const json = async (response: Promise<Response>) => (await (await response).json()) as Task;

  return {
    async list() {
      const tasks: Task[] = [];
      let reference: string | null = TASKS;
      while (reference) {
        const response: Response = await send(reference);
        tasks.push(...((await response.json()) as Task[]));
        reference = nextPage(reference, response);
      }
      return tasks;
    },
    async create(draft) {
      const body: components["schemas"]["TaskCreate"] = draft;
      const meaning = JSON.stringify(draft);
      const idempotencyKey = unanswered.get(meaning) ?? randomKey();
      unanswered.delete(meaning);
      try {
        return await json(send(TASKS, { method: "POST", body, idempotencyKey }));
      } catch (error) {
        if (error instanceof Unreachable) unanswered.set(meaning, idempotencyKey);
        throw error;
      }
    },
    update: (id, changes, version) => json(send(path(id), { method: "PATCH", body: changes, ifMatch: `"${version}"` })),
    setCompleted: (id, completed) =>
      json(send(`${path(id)}/complete`, { method: "PATCH", body: { completed }, ifMatch: ANY_VERSION })),
    setPosition: (id, position) => json(send(path(id), { method: "PATCH", body: { position }, ifMatch: ANY_VERSION })),
    async remove(id) {
      try {
        await send(path(id), { method: "DELETE", ifMatch: ANY_VERSION });
      } catch (error) {
        if (!(error instanceof Problem && error.status === 404)) throw error;
      }
    },
    restore: (id) => json(send(`${path(id)}/restore`, { method: "POST" })),
  };
}

/** 128 random bits; `crypto.randomUUID` is missing where a page is not served over https. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
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

/** The members of `draft` that differ from `task`: a merge patch names nothing else. */
export function changesBetween(task: TaskDraft, draft: TaskDraft): Partial<TaskDraft> {
  const keys = Object.keys(draft) as (keyof TaskDraft)[];
  const changed = keys.filter((key) => JSON.stringify(task[key]) !== JSON.stringify(draft[key]));
  return Object.fromEntries(changed.map((key) => [key, draft[key]]));
}
