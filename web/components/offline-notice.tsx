/** Says that there is no network, and what that means. Task: T-058 · Spec: plan.md#web-page */
"use client";

import { useOnline } from "@/lib/use-online";

export function OfflineNotice() {
  const isOnline = useOnline();
  return (
    // Always in the page: a live region is announced only when it was there before its text.
    <div role="status">
      {!isOnline && (
        <p className="arrive -mx-5 border-l-4 border-amber bg-mist px-5 py-2.5 text-sm sm:mx-0">
          <strong>You are offline.</strong> You can read your tasks. Changes need a connection.
        </p>
      )}
    </div>
  );
}
