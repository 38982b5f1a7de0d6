/**
 * What every form that writes a task does: wait, and say beside which field it was refused.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { useState, type FormEvent } from "react";

import { describe, Problem } from "./failures";

export interface Submission {
  isPending: boolean;
  /** Why the last attempt failed, as a sentence. */
  failure: string | null;
  /** Of a 422: the sentences by field. */
  fields: Readonly<Record<string, string>>;
  submit(event: FormEvent<HTMLFormElement>): void;
}

/** Makes a form's submit handler of `work`, which throws where it fails. */
export function useSubmit(work: (form: HTMLFormElement) => Promise<void>): Submission {
  const [isPending, setIsPending] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function run(form: HTMLFormElement) {
    setIsPending(true);
    setError(null);
    try {
      await work(form);
    } catch (thrown) {
      setError(thrown);
    } finally {
      setIsPending(false);
    }
  }

  return {
    isPending,
    failure: error === null ? null : describe(error),
    fields: error instanceof Problem ? error.fields : {},
    submit(event) {
      event.preventDefault();
      void run(event.currentTarget);
    },
  };
}
