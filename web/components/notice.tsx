/**
 * What just happened, in words, with what can be done about it.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import { useEffect, useState } from "react";

import type { Message } from "@/lib/use-notice";

interface Props {
  message: Message | null;
  /** Does what the message offers. */
  onAct(): void;
  onDismiss(): void;
}

const SHOWN_FOR_MS = 10_000;

/** The bar at the bottom. Good news goes away by itself, unless somebody is at it; a failure stays until it is read. */
export function Notice({ message, onAct, onDismiss }: Props) {
  const [isHeld, setIsHeld] = useState(false);
  useEffect(() => {
    if (message?.tone !== "done" || isHeld) return;
    const timer = setTimeout(onDismiss, SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [message, isHeld, onDismiss]);
  const hold = () => setIsHeld(true);
  const release = () => setIsHeld(false);

  return (
    <div className="pointer-events-none fixed inset-x-0 bottom-0 z-10 flex justify-center p-4">
      {/* Always in the page: a live region is announced only when it was there before its text. */}
      <div
        role="status"
        aria-live={message?.tone === "failed" ? "assertive" : "polite"}
        onPointerEnter={hold}
        onPointerLeave={release}
        onFocus={hold}
        onBlur={release}
      >
        {message && (
          <div
            key={message.text}
            className="arrive pointer-events-auto flex max-w-xl items-center gap-1 rounded-lg bg-ink py-2 pr-2 pl-4 text-paper shadow-xl"
          >
            <p className="mr-3 wrap-anywhere">{message.text}</p>
            {message.action && <NoticeButton label={message.action.label} run={onAct} />}
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
