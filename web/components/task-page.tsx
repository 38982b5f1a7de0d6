/**
 * The todo page: what is where, and what a person is told when something fails.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useCallback, useMemo, useRef, useState } from "react";

import { FilterBar } from "@/components/filter-bar";
import { Headline } from "@/components/headline";
import { LoadFailure } from "@/components/load-failure";
import { Masthead } from "@/components/masthead";
import { Notice, type Message } from "@/components/notice";
import { NothingToShow } from "@/components/nothing-to-show";
import { QuickAdd } from "@/components/quick-add";
import { ShortcutsDialog } from "@/components/shortcuts-dialog";
import { TaskDialog } from "@/components/task-dialog";
import { TaskList } from "@/components/task-list";
import { createAccessToken } from "@/lib/access-token";
import { describe, isPassing, SignedOut } from "@/lib/failures";
import { categoriesOf, countByStatus, filterTasks, groupTasks, NO_FILTER } from "@/lib/filter";
import { createSend, type Send } from "@/lib/gateway";
import { createTasksApi, draftOf, type Task } from "@/lib/tasks";
import { useShortcuts } from "@/lib/use-shortcuts";
import { useTasks } from "@/lib/use-tasks";

interface Props {
  user: { id: string; name: string };
  gatewayUrl: string;
}

export function TaskPage({ user, gatewayUrl }: Props) {
  const api = useMemo(() => {
    const send = createSend(gatewayUrl, createAccessToken(user.id));
    return createTasksApi(leavingWhenSignedOut(send));
  }, [gatewayUrl, user.id]);
  const { tasks, failure, reload, create, update, complete, remove } = useTasks(api);
  const [filter, setFilter] = useState(NO_FILTER);
  const [editedId, setEditedId] = useState<string | null>(null);
  const [isHelpOpen, setIsHelpOpen] = useState(false);
  const [message, setMessage] = useState<Message | null>(null);
  const newTask = useRef<HTMLInputElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const dismiss = useCallback(() => setMessage(null), []);
  useShortcuts({
    n: () => newTask.current?.focus(),
    "/": () => search.current?.focus(),
    "?": () => setIsHelpOpen(true),
  });

  /** Does `work` and says `done`; where it fails, says why and offers what helps. */
  async function attempt(work: () => Promise<unknown>, done: Message): Promise<void> {
    try {
      await work();
      setMessage(done);
    } catch (error) {
      const again = { label: "Try again", run: () => void attempt(work, done) };
      setMessage({ text: describe(error), tone: "failed", ...(isPassing(error) && { action: again }) });
      // Refused for good: what is on the screen is not what is stored.
      if (!isPassing(error)) await reload();
    }
  }

  function toggle(task: Task): Promise<void> {
    const text = task.completed ? `Opened “${task.title}” again.` : `Completed “${task.title}”.`;
    const back = () => void toggle({ ...task, completed: !task.completed });
    return attempt(() => complete(task, !task.completed), {
      text,
      tone: "done",
      ...(!task.completed && { action: { label: "Undo", run: back } }),
    });
  }

  function discard(task: Task): Promise<void> {
    const restored: Message = { text: `“${task.title}” is back.`, tone: "done" };
    return attempt(() => remove(task), {
      text: `Deleted “${task.title}”.`,
      tone: "done",
      action: { label: "Undo", run: () => void attempt(() => restore(task), restored) },
    });
  }

  async function restore(task: Task): Promise<void> {
    const copy = await create(draftOf(task));
    if (task.completed) await complete(copy, true);
  }

  const now = new Date();
  const all = tasks ?? [];
  const groups = groupTasks(filterTasks(all, filter), now);
  const categories = categoriesOf(all);
  const edited = all.find((task) => task.id === editedId);

  return (
    <>
      <main className="mx-auto w-full max-w-4xl px-5 pb-24 sm:px-8">
        <Masthead
          name={user.name}
          onFailure={() => setMessage({ text: "Signing out did not work. Try again.", tone: "failed" })}
        />
        <div className="mt-8 sm:mt-14">
          <Headline tasks={tasks} now={now} />
        </div>
        <QuickAdd
          inputRef={newTask}
          categories={categories}
          onCreate={async (draft) => {
            const task = await create(draft);
            setMessage({ text: `Added “${task.title}”.`, tone: "done" });
          }}
        />
        <FilterBar
          filter={filter}
          counts={countByStatus(all)}
          categories={categories}
          searchRef={search}
          onChange={setFilter}
        />
        {failure !== null && (
          <LoadFailure hasTasks={tasks !== null} sentence={describe(failure)} onRetry={() => void reload()} />
        )}
        {tasks === null && failure === null && (
          <p role="status" className="py-10 text-quiet">
            Loading your tasks…
          </p>
        )}
        {tasks !== null && groups.length === 0 && (
          <NothingToShow isListEmpty={tasks.length === 0} onShowAll={() => setFilter(NO_FILTER)} />
        )}
        <TaskList
          groups={groups}
          now={now}
          onComplete={(task) => void toggle(task)}
          onEdit={(task) => setEditedId(task.id)}
          onDelete={(task) => void discard(task)}
        />
        <p className="mt-8 hidden text-sm text-quiet sm:block">
          <kbd className="key">N</kbd> new task · <kbd className="key">/</kbd> search ·{" "}
          <button
            type="button"
            className="underline underline-offset-4 hover:text-ink"
            onClick={() => setIsHelpOpen(true)}
          >
            all keys
          </button>
        </p>
      </main>
      {edited && (
        <TaskDialog
          key={edited.id}
          task={edited}
          categories={categories}
          onSave={async (changes) => {
            await update(edited, changes);
            setMessage({ text: `Saved “${changes.title ?? edited.title}”.`, tone: "done" });
          }}
          onConflict={reload}
          onDelete={() => {
            setEditedId(null);
            void discard(edited);
          }}
          onClose={() => setEditedId(null)}
        />
      )}
      {isHelpOpen && <ShortcutsDialog onClose={() => setIsHelpOpen(false)} />}
      <Notice message={message} onDismiss={dismiss} />
    </>
  );
}

/** Goes to the sign-in page, which says why, once the session has ended. */
function leavingWhenSignedOut(send: Send): Send {
  return async (reference, call) => {
    try {
      return await send(reference, call);
    } catch (error) {
      if (error instanceof SignedOut) window.location.assign("/sign-in?ended");
      throw error;
    }
  };
}
