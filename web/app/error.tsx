/**
 * What is shown when the page itself cannot be made: as a rule, its database does not answer.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

export default function ErrorPage() {
  return (
    <main className="mx-auto w-full max-w-md px-5 py-24">
      <h1 className="text-3xl font-bold tracking-tight">This page cannot be shown right now.</h1>
      <p className="mt-3 text-quiet">Your tasks are safe. Try again in a moment.</p>
      <button type="button" className="button-primary mt-6" onClick={() => window.location.reload()}>
        Try again
      </button>
    </main>
  );
}
