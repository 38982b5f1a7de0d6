/** Says that the list cannot be had, and tries again. Task: T-028 · Spec: plan.md#web-page */
"use client";

interface Props {
  /** True when a list that was loaded earlier is still shown underneath. */
  hasTasks: boolean;
  sentence: string;
  onRetry(): void;
}

export function LoadFailure({ hasTasks, sentence, onRetry }: Props) {
  return (
    <div role="alert" className="border-l-2 border-alarm my-10 py-1 pl-4">
      <p className="text-lg font-bold">
        {hasTasks ? "This list may be out of date." : "Your tasks could not be loaded."}
      </p>
      <p className="mt-1 text-quiet">{sentence}</p>
      <button type="button" className="button-primary mt-4 text-sm" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}
