/**
 * A modal dialog: the browser's own, which keeps the focus inside and gives it back.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useId, useLayoutEffect, useRef, type ReactNode } from "react";

interface Props {
  title: string;
  /** Called when it closes, by Escape or by a form with `method="dialog"`. */
  onClose(): void;
  children: ReactNode;
}

/** Open from its first render until it is taken out of the page. */
export function Dialog({ title, onClose, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  // A layout effect's clean-up still finds the dialog in the page: closed later, it could not give the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);

  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onClose={onClose}
      className="arrive m-auto w-full max-w-xl rounded-xl border border-rule bg-paper p-0 text-ink shadow-2xl max-sm:mb-0 max-sm:max-w-none max-sm:rounded-b-none"
    >
      <div className="p-5 sm:p-7">
        <h2 id={titleId} className="mb-5 text-2xl font-bold tracking-tight">
          {title}
        </h2>
        {children}
      </div>
    </dialog>
  );
}
