/**
 * Single-key shortcuts of the whole page.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { useEffect, useRef } from "react";

/** What each key does, by the key's own name (`KeyboardEvent.key`). */
export type Shortcuts = Readonly<Record<string, () => void>>;

/** Listens while the page is shown; silent while somebody types, in a dialog, and with Ctrl, Alt or Meta held. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const current = useRef(shortcuts);
  useEffect(() => {
    current.current = shortcuts;
  });

  useEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      const action = Object.hasOwn(current.current, event.key) ? current.current[event.key] : undefined;
      if (!action || event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
      event.preventDefault();
      action();
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.closest("dialog, textarea, select, input:not([type='checkbox'], [type='radio'])") !== null;
}
