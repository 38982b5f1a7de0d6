/**
 * The view that the page's address says, and writing it there.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { useState } from "react";

import { readView, writeView, type View } from "./view";

/** `query`: what the address says at first. Later views replace it: going back leads out, not through each letter. */
export function useView(query: string): [View, (view: View) => void] {
  const [view, setView] = useState(() => readView(new URLSearchParams(query)));

  function show(next: View) {
    setView(next);
    const said = writeView(next);
    window.history.replaceState(null, "", said ? `?${said}` : window.location.pathname);
  }

  return [view, show];
}
