/** The line at the top: whose list this is, and the way out. Task: T-028 · Spec: plan.md#web-page */
"use client";

import { useState } from "react";

import { authClient } from "@/lib/auth-client";

interface Props {
  name: string;
  /** Called when signing out failed. */
  onFailure(): void;
}

export function Masthead({ name, onFailure }: Props) {
  const [isLeaving, setIsLeaving] = useState(false);

  async function signOut() {
    setIsLeaving(true);
    const result = await authClient.signOut().catch(() => null);
    if (result && !result.error) return window.location.assign("/sign-in");
    setIsLeaving(false);
    onFailure();
  }

  return (
    <header className="flex items-baseline justify-between gap-4 py-5 text-sm">
      <p className="font-bold">Todo</p>
      <p className="flex min-w-0 items-baseline gap-2">
        <span className="truncate text-quiet">{name}</span>
        <button type="button" className="button-quiet -mr-2 shrink-0 text-ink" disabled={isLeaving} onClick={signOut}>
          Sign out
        </button>
      </p>
    </header>
  );
}
