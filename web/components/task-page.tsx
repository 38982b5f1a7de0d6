/**
 * The todo page: what is where, and what a person is told of what they did.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import { useMemo, useRef, useState } from "react";

import { Headline } from "@/components/headline";
import { LoadFailure } from "@/components/load-failure";
import { Masthead } from "@/components/masthead";
import { NothingToShow } from "@/components/nothing-to-show";
import { Notice } from "@/components/notice";
import { OfflineNotice } from "@/components/offline-notice";
import { QuickAdd } from "@/components/quick-add";
import { ShortcutsDialog } from "@/components/shortcuts-dialog";
import { TaskDialog } from "@/components/task-dialog";
import { TaskList } from "@/components/task-list";
import { ViewBar } from "@/components/view-bar";
import { createAccessToken } from "@/lib/access-token";
import { describe, SignedOut } from "@/lib/failures";
import { createSend, type Send } from "@/lib/gateway";
import { groupTasks } from "@/lib/order";
import { taskActions } from "@/lib/task-actions";
import { createTasksApi } from "@/lib/tasks";
import { useNotice } from "@/lib/use-notice";
import { useShortcuts } from "@/lib/use-shortcuts";
import { useTasks } from "@/lib/use-tasks";
import { useView } from "@/lib/use-view";
import { categoriesOf, countByStatus, select, tagsOf, widened } from "@/lib/view";

interface Props {
  user: { id: string; name: string };
  gatewayUrl: string;
  /** The query of the page's address. */
  query: string;
}

export function TaskPage({ user, gatewayUrl, query }: Props) {
  const api = useMemo(() => {
    const send = createSend(gatewayUrl, createAccessToken(user.id));
    return createTasksApi(leavingWhenSignedOut(send));
  }, [gatewayUrl, user.id]);
  const stored = useTasks(api);
  const { tasks, failure, reload } = stored;
  const notices = useNotice(reload);
  const { create, save, toggle, discard, move } = taskActions(stored, notices);
  const [view, show] = useView(query);
  const [editedId, setEditedId] = useState<string | null>(null);
  const [isHelpOpen, setIsHelpOpen] = useState(false);
  const newTask = useRef<HTMLInputElement>(null);
  const search = useRef<HTMLInputElement>(null);
  useShortcuts({
    n: () => newTask.current?.focus(),
    "/": () => search.current?.focus(),
    u: notices.act,
    "?": () => setIsHelpOpen(true),
  });

  const now = new Date();
  const all = tasks ?? [];
  const shown = select(all, view, now);
  const categories = categoriesOf(all);
  const edited = all.find((task) => task.id === editedId);

  return (
    <>
      <main className="mx-auto w-full max-w-4xl px-5 pb-24 sm:px-8">
        <Masthead
          name={user.name}
          onFailure={() => notices.say({ text: "Signing out did not work. Try again.", tone: "failed" })}
        />
        <OfflineNotice />
        <div className="mt-8 sm:mt-14">
          <Headline tasks={tasks} now={now} />
        </div>
        <QuickAdd inputRef={newTask} categories={categories} onCreate={create} />
        <ViewBar
          view={view}
          counts={countByStatus(all)}
          shown={shown.length}
          categories={categories}
          tags={tagsOf(all)}
          searchRef={search}
          onChange={show}
        />
        {failure !== null && (
          <LoadFailure hasTasks={tasks !== null} sentence={describe(failure)} onRetry={() => void reload()} />
        )}
        {tasks === null && failure === null && (
          <p role="status" className="py-10 text-quiet">
            Loading your tasks…
          </p>
        )}
        {tasks !== null && shown.length === 0 && (
          <NothingToShow isListEmpty={tasks.length === 0} onShowAll={() => show(widened(view))} />
        )}
        <TaskList
          groups={groupTasks(shown, view.sort, now)}
          now={now}
          onComplete={(task) => void toggle(task)}
          onEdit={(task) => setEditedId(task.id)}
          onDelete={(task) => void discard(task)}
          onTag={(tag) => show({ ...view, tag })}
          onMove={({ tasks: ordered }, task, index) => void move(ordered, task, index)}
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
          onSave={save}
          onConflict={reload}
          onDelete={() => {
            setEditedId(null);
            void discard(edited);
          }}
          onClose={() => setEditedId(null)}
        />
      )}
      {isHelpOpen && <ShortcutsDialog onClose={() => setIsHelpOpen(false)} />}
      <Notice message={notices.message} onAct={notices.act} onDismiss={notices.dismiss} />
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
