/**
 * Which of the tasks are shown, and in which order; kept in the page's address, so that a reload shows the same.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { PERIODS, periodOf, type Period } from "./due";
import { PRIORITIES, type Priority, type Task } from "./tasks";

export const STATUSES = ["all", "active", "completed"] as const;
export type Status = (typeof STATUSES)[number];

/** When a task is due, as a filter, with the headings that it lets through. */
const DUE = {
  overdue: ["Overdue"],
  today: ["Today"],
  week: ["Today", "Tomorrow", "This week"],
  none: ["Some day"],
} as const satisfies Record<string, readonly Period[]>;
export type Due = keyof typeof DUE;

export const SORTS = ["due", "position", "priority", "title", "created"] as const;
export type Sort = (typeof SORTS)[number];

/** An empty text stands for “any”. */
export interface View {
  status: Status;
  category: string;
  priority: Priority | "";
  tag: string;
  due: Due | "";
  /** Matches title, description, category and tags; every word has to occur. */
  search: string;
  sort: Sort;
}

export const WHOLE: View = { status: "all", category: "", priority: "", tag: "", due: "", search: "", sort: "due" };

/** `view` without what narrows it: the order stays. */
export function widened({ sort }: View): View {
  return { ...WHOLE, sort };
}

export function isNarrowed(view: View): boolean {
  return writeView(widened(view)) !== writeView(view);
}

/** The view that a query string says; what it says wrongly counts as not said. */
export function readView(query: URLSearchParams): View {
  const oneOf = <T extends string>(name: string, values: readonly T[], otherwise: T): T =>
    values.find((value) => value === query.get(name)) ?? otherwise;
  return {
    status: oneOf("status", STATUSES, WHOLE.status),
    category: query.get("category") ?? "",
    priority: oneOf<Priority | "">("priority", PRIORITIES, ""),
    tag: query.get("tag") ?? "",
    due: oneOf<Due | "">("due", Object.keys(DUE) as Due[], ""),
    search: query.get("search") ?? "",
    sort: oneOf("sort", SORTS, WHOLE.sort),
  };
}

/** The query string that says `view`; what is as in {@link WHOLE} is left out. */
export function writeView(view: View): string {
  const said = Object.entries(view).filter(([name, value]) => value !== WHOLE[name as keyof View]);
  return new URLSearchParams(said).toString();
}

/** The tasks that pass all of `view`. */
export function select(tasks: readonly Task[], view: View, now: Date): Task[] {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const periods: readonly Period[] = view.due ? DUE[view.due] : PERIODS;
  return tasks.filter((task) => {
    if (view.status !== "all" && task.completed !== (view.status === "completed")) return false;
    if (view.category && task.category !== view.category) return false;
    if (view.priority && task.priority !== view.priority) return false;
    if (view.tag && !task.tags.includes(view.tag)) return false;
    if (view.due === "overdue" && task.completed) return false;
    if (!periods.includes(periodOf(task.due_date, now))) return false;
    const text = [task.title, task.description ?? "", task.category ?? "", ...task.tags].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The categories in use, in alphabetical order. */
export function categoriesOf(tasks: readonly Task[]): string[] {
  return distinct(tasks.flatMap((task) => task.category ?? []));
}

/** The tags in use, in alphabetical order. */
export function tagsOf(tasks: readonly Task[]): string[] {
  return distinct(tasks.flatMap((task) => task.tags));
}

function distinct(names: string[]): string[] {
  return [...new Set(names)].sort((a, b) => a.localeCompare(b));
}

/** How many tasks each status would show. */
export function countByStatus(tasks: readonly Task[]): Record<Status, number> {
  const completed = tasks.filter((task) => task.completed).length;
  return { all: tasks.length, active: tasks.length - completed, completed };
}
