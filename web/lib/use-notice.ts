/**
 * What a person is told after what they did, and what they can do about it.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { useCallback, useState } from "react";

import { describe, isPassing } from "./failures";

export interface Message {
  text: string;
  tone: "done" | "failed";
  action?: { label: string; run(): void };
}

export interface Notices {
  message: Message | null;
  say(message: Message): void;
  dismiss(): void;
  /** Does what the message offers, once. */
  act(): void;
  /** Does `work` and says `done`; where it fails, says why and offers what helps. */
  attempt(work: () => Promise<unknown>, done: Message): Promise<void>;
}

/** `reload` is called after a refusal for good: what is on the screen is not what is stored. */
export function useNotice(reload: () => Promise<void>): Notices {
  const [message, setMessage] = useState<Message | null>(null);

  async function attempt(work: () => Promise<unknown>, done: Message): Promise<void> {
    try {
      await work();
      setMessage(done);
    } catch (error) {
      const again = { label: "Try again", run: () => void attempt(work, done) };
      setMessage({ text: describe(error), tone: "failed", ...(isPassing(error) && { action: again }) });
      if (!isPassing(error)) await reload();
    }
  }

  function act() {
    if (!message?.action) return;
    setMessage(null);
    message.action.run();
  }

  return { message, say: setMessage, dismiss: useCallback(() => setMessage(null), []), act, attempt };
}
