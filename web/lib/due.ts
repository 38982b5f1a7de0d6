/**
 * When a task is due, in the words of the person who looks at it.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
const DAY_MS = 24 * 60 * 60 * 1_000;

/** The days that tasks are listed under, in order. */
export const PERIODS = ["Overdue", "Today", "Tomorrow", "This week", "Later", "Some day"] as const;
export type Period = (typeof PERIODS)[number];

/** The local day of an RFC 3339 date or date-time. A date alone is that day wherever it is read, not UTC's midnight. */
function dayOf(due: string): Date {
  const instant = new Date(isDateOnly(due) ? `${due}T00:00:00` : due);
  return new Date(instant.getFullYear(), instant.getMonth(), instant.getDate());
}

function isDateOnly(due: string): boolean {
  return !due.includes("T");
}

/** Whole days from `now` to `due`: 0 today, 1 tomorrow, negative when past. Rounded: a day may have 23 or 25 hours. */
function daysUntil(due: string, now: Date): number {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  return Math.round((dayOf(due).getTime() - today.getTime()) / DAY_MS);
}

/** True when `due` is past: the day after a date, the moment after a date-time. */
export function isOverdue(due: string | null, now: Date): boolean {
  if (due === null) return false;
  return isDateOnly(due) ? daysUntil(due, now) < 0 : new Date(due) < now;
}

/** The heading that an open task due at `due` stands under. */
export function periodOf(due: string | null, now: Date): Period {
  if (due === null) return "Some day";
  if (isOverdue(due, now)) return "Overdue";
  const days = daysUntil(due, now);
  if (days === 0) return "Today";
  if (days === 1) return "Tomorrow";
  return days < 7 ? "This week" : "Later";
}

/** `due` as a person says it: “today, 14:30”, “tomorrow”, “Friday”, “3 March”, “2 days overdue”. */
export function describeDue(due: string, now: Date): string {
  const days = daysUntil(due, now);
  if (days < 0) return days === -1 ? "1 day overdue" : `${-days} days overdue`;
  const day = days === 0 ? "today" : days === 1 ? "tomorrow" : format(dayOf(due), now, days < 7);
  return isDateOnly(due) ? day : `${day}, ${new Date(due).toLocaleTimeString("en-GB", { timeStyle: "short" })}`;
}

function format(day: Date, now: Date, isNear: boolean): string {
  if (isNear) return day.toLocaleDateString("en-GB", { weekday: "long" });
  const year = day.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return day.toLocaleDateString("en-GB", { day: "numeric", month: "long", year });
}

/** The local calendar day of `due` as a date input holds it: `2030-03-01`; empty without one. */
export function toDateInput(due: string | null): string {
  if (due === null) return "";
  const day = dayOf(due);
  return [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

/** Sorts earlier before later, and what has no date last. */
export function compareDue(a: string | null, b: string | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return instantOf(a) - instantOf(b);
}

function instantOf(due: string): number {
  return isDateOnly(due) ? dayOf(due).getTime() + DAY_MS - 1 : new Date(due).getTime();
}
