/**
 * Which of the tasks are shown, and under which heading.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { compareDue, PERIODS, periodOf } from "./due";
import { PRIORITIES, type Priority, type Task } from "./tasks";

export const STATUSES = ["all", "active", "completed"] as const;
export type Status = (typeof STATUSES)[number];

export interface Filter {
  status: Status;
  /** Empty: any. */
  category: string;
  priority: Priority | "";
  /** Matches title, description, category and tags; every word has to occur. */
  search: string;
}

export const NO_FILTER: Filter = { status: "all", category: "", priority: "", search: "" };

/** Tasks that are listed together. */
export interface Group {
  heading: string;
  tasks: Task[];
}

/** The tasks that pass all of `filter`. */
export function filterTasks(tasks: readonly Task[], filter: Filter): Task[] {
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  return tasks.filter((task) => {
    if (filter.status !== "all" && task.completed !== (filter.status === "completed")) return false;
    if (filter.category && task.category !== filter.category) return false;
    if (filter.priority && task.priority !== filter.priority) return false;
    const text = [task.title, task.description ?? "", task.category ?? "", ...task.tags].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Open tasks by when they are due, most urgent first; then what is completed, latest first. Empty groups are left out. */
export function groupTasks(tasks: readonly Task[], now: Date): Group[] {
  const open = tasks.filter((task) => !task.completed).sort(compareOpen);
  const completed = tasks.filter((task) => task.completed).sort(compareCompleted);
  const groups: Group[] = PERIODS.map((heading) => ({
    heading,
    tasks: open.filter((task) => periodOf(task.due_date, now) === heading),
  }));
  return [...groups, { heading: "Completed", tasks: completed }].filter((group) => group.tasks.length > 0);
}

function compareOpen(a: Task, b: Task): number {
  return (
    compareDue(a.due_date, b.due_date) ||
    PRIORITIES.indexOf(b.priority) - PRIORITIES.indexOf(a.priority) ||
    (a.created_at < b.created_at ? 1 : -1)
  );
}

function compareCompleted(a: Task, b: Task): number {
  return (b.completed_at ?? "").localeCompare(a.completed_at ?? "");
}

/** The categories in use, in alphabetical order. */
export function categoriesOf(tasks: readonly Task[]): string[] {
  const names = tasks.flatMap((task) => task.category ?? []);
  return [...new Set(names)].sort((a, b) => a.localeCompare(b));
}

/** How many tasks each status would show. */
export function countByStatus(tasks: readonly Task[]): Record<Status, number> {
  const completed = tasks.filter((task) => task.completed).length;
  return { all: tasks.length, active: tasks.length - completed, completed };
}
