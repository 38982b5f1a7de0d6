/**
 * In which order tasks are listed, under which headings, and how one is put between two others.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { compareDue, PERIODS, periodOf } from "./due";
import { PRIORITIES, type Task } from "./tasks";
import type { Sort } from "./view";

/** Tasks that are listed together. */
export interface Group {
  heading: string;
  tasks: Task[];
  /** Whether a person says the order. */
  isOrdered?: boolean;
}

type Compare = (a: Task, b: Task) => number;

const byNewest: Compare = (a, b) => -compareText(a.created_at, b.created_at) || -compareText(a.id, b.id);
const byPriority: Compare = (a, b) => PRIORITIES.indexOf(b.priority) - PRIORITIES.indexOf(a.priority);
const byDue: Compare = (a, b) => compareDue(a.due_date, b.due_date);

const ORDERS: Record<Sort, readonly Compare[]> = {
  due: [byDue, byPriority, byNewest],
  position: [(a, b) => a.position - b.position, (a, b) => compareText(a.id, b.id)],
  priority: [byPriority, byDue, byNewest],
  title: [(a, b) => a.title.localeCompare(b.title), byNewest],
  created: [byNewest],
};

/** By code unit, as the service orders times and ids; for what a person reads there is `localeCompare`. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sorted(tasks: readonly Task[], order: readonly Compare[]): Task[] {
  return [...tasks].sort((a, b) => order.reduce((found, compare) => found || compare(a, b), 0));
}

/** Open tasks as `sort` says; then what is completed, latest first. Empty groups are left out. */
export function groupTasks(tasks: readonly Task[], sort: Sort, now: Date): Group[] {
  const open = sorted(
    tasks.filter((task) => !task.completed),
    ORDERS[sort],
  );
  const completed = sorted(
    tasks.filter((task) => task.completed),
    [(a, b) => -compareText(a.completed_at ?? "", b.completed_at ?? "")],
  );
  const groups: Group[] =
    sort === "due"
      ? PERIODS.map((heading) => ({
          heading,
          tasks: open.filter((task) => periodOf(task.due_date, now) === heading),
        }))
      : [{ heading: "To do", tasks: open, isOrdered: sort === "position" }];
  return [...groups, { heading: "Completed", tasks: completed }].filter((group) => group.tasks.length > 0);
}

export interface Placement {
  task: Task;
  position: number;
}

/** The room between positions that are given anew. By default a position is the time of creation, in milliseconds. */
const GAP = 1;

/**
 * What has to be stored so that `moved` stands at `index` among the other tasks of `ordered`: one position, half-way
 * between its neighbours. Where no number lies between theirs, what follows makes room, as far as is needed.
 */
export function place(ordered: readonly Task[], moved: Task, index: number): Placement[] {
  if (ordered[index]?.id === moved.id) return [];
  const others = ordered.filter((task) => task.id !== moved.id);
  const before = others[index - 1]?.position ?? null;
  const after = others[index]?.position ?? null;
  if (before === null) return after === null ? [] : [{ task: moved, position: after - GAP }];
  const between = after === null ? before + GAP : before + (after - before) / 2;
  if (after === null || (before < between && between < after)) return [{ task: moved, position: between }];
  const placements = [{ task: moved, position: before + GAP }];
  for (const task of others.slice(index)) {
    const last = placements[placements.length - 1]?.position ?? 0;
    if (task.position > last) break;
    placements.push({ task, position: last + GAP });
  }
  return placements;
}
