/**
 * Runs once when a server process starts, before its first request.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */

/** Makes sure of the database, or ends the process with one sentence that says why it cannot. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { prepareOrExit } = await import("./lib/prepare");
  await prepareOrExit();
}
