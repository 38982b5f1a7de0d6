/** What is shown where the list would be when it has nothing in it. Task: T-028 · Spec: plan.md#web-page */

interface Props {
  /** True when there is no task at all, rather than none that the filter lets through. */
  isListEmpty: boolean;
  onShowAll(): void;
}

export function NothingToShow({ isListEmpty, onShowAll }: Props) {
  if (isListEmpty)
    return (
      <p className="py-10 text-lg text-quiet">
        A clean sheet. Write your first task above: a few words and Enter are enough.
      </p>
    );
  return (
    <p className="py-10 text-lg text-quiet">
      No task matches.{" "}
      <button type="button" className="text-pine underline underline-offset-4" onClick={onShowAll}>
        Show all tasks
      </button>
    </p>
  );
}
