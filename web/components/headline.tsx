/**
 * The state of the list as a sentence, which is also the page's heading.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { isOverdue } from "@/lib/due";
import type { Task } from "@/lib/tasks";

const NUMBERS = [
  "Nothing",
  "One",
  "Two",
  "Three",
  "Four",
  "Five",
  "Six",
  "Seven",
  "Eight",
  "Nine",
  "Ten",
  "Eleven",
  "Twelve",
];

/** 4 as “Four”; past twelve in digits. */
function inWords(count: number): string {
  return NUMBERS[count] ?? String(count);
}

/** Null while the tasks load. */
export function Headline({ tasks, now }: { tasks: readonly Task[] | null; now: Date }) {
  const open = tasks?.filter((task) => !task.completed) ?? [];
  const overdue = open.filter((task) => isOverdue(task.due_date, now)).length;
  return (
    <h1 className="text-5xl leading-[1.02] font-bold tracking-[-0.04em] text-balance sm:text-7xl">
      {tasks === null ? "Your tasks" : `${inWords(open.length)} to do${overdue ? "," : "."}`}
      {overdue > 0 && (
        <>
          <br />
          <span className="text-alarm">{inWords(overdue).toLowerCase()} overdue.</span>
        </>
      )}
    </h1>
  );
}
