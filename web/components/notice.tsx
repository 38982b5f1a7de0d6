/**
 * What just happened, in words, with what can be done about it.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useEffect } from "react";

export interface Message {
  text: string;
  tone: "done" | "failed";
  action?: { label: string; run(): void };
}

const SHOWN_FOR_MS = 10_000;

/** The bar at the bottom. Good news goes away by itself; a failure stays until it is read. */
export function Notice({ message, onDismiss }: { message: Message | null; onDismiss(): void }) {
  useEffect(() => {
    if (message?.tone !== "done") return;
    const timer = setTimeout(onDismiss, SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [message, onDismiss]);

  return (
    <div className="pointer-events-none fixed inset-x-0 bottom-0 z-10 flex justify-center p-4">
      {/* Always in the page: a live region is announced only when it was there before its text. */}
      <div role="status" aria-live={message?.tone === "failed" ? "assertive" : "polite"}>
        {message && (
          <div
            key={message.text}
            className="arrive pointer-events-auto flex max-w-xl items-center gap-1 rounded-lg bg-ink py-2 pr-2 pl-4 text-paper shadow-xl"
          >
            <p className="mr-3">{message.text}</p>
            {message.action && <NoticeButton {...message.action} />}
            <NoticeButton label="Dismiss" run={onDismiss} />
          </div>
        )}
      </div>
    </div>
  );
}

function NoticeButton({ label, run }: { label: string; run(): void }) {
  return (
    <button
      type="button"
      onClick={run}
      className="rounded-md px-2.5 py-1.5 text-sm font-bold hover:bg-paper/15 focus-visible:outline-paper"
    >
      {label}
    </button>
  );
}
