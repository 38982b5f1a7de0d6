/**
 * Every way a request to the gateway fails, each with the sentence that a person is shown.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */

/** The session has ended, or is another user's by now. */
export class SignedOut extends Error {
  override message = "You are signed out. Sign in again to go on.";
}

/** No answer came: no network, the gateway is down, or it took longer than the time limit. */
export class Unreachable extends Error {
  override message = "The server cannot be reached. Check your connection, then try again.";
}

/** The gateway answered with problem details (RFC 9457), or with an error that is none. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    /** Of a 422: one sentence per member of the body, by its name. */
    readonly fields: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
  }

  /** Reads the answer's body; one that is not problem details (a proxy's page, say) is described by its status. */
  static async of(response: Response): Promise<Problem> {
    const { status } = response;
    const body: unknown = await response.json().catch(() => null);
    const { detail, errors } = (body ?? {}) as { detail?: unknown; errors?: unknown };
    const fields = Object.fromEntries(Array.isArray(errors) ? errors.flatMap(field) : []);
    return new Problem(status, sentence(status, typeof detail === "string" ? detail : null), fields);
  }
}

function sentence(status: number, detail: string | null): string {
  if (status === 401) return "The server does not accept your sign-in. Sign out, then sign in again.";
  if (status === 412)
    return "This task was changed elsewhere in the meantime. Save again to keep what you wrote; the rest stays as it is now.";
  if (status === 429) return "Too many requests. Wait a moment, then try again.";
  if (status >= 502) return "The service does not answer right now. Try again in a moment.";
  return detail ?? `The server refused the request (${status}).`;
}

/** `{"pointer": "#/title", "detail": "…"}` as `["title", "…"]`: a JSON pointer (RFC 6901), with or without its `#`. */
function field(error: { pointer?: unknown; detail?: unknown }): [string, string][] {
  const { pointer, detail } = error;
  if (typeof pointer !== "string" || typeof detail !== "string") return [];
  return [[pointer.replace(/^#?\//, "").split("/")[0] ?? "", detail]];
}

/** True when the same request may well succeed a moment later. */
export function isPassing(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Problem && (error.status === 429 || error.status >= 502));
}

/** The sentence for `error`, whatever it is. */
export function describe(error: unknown): string {
  if (error instanceof Problem || error instanceof Unreachable || error instanceof SignedOut) return error.message;
  return "Something went wrong in this page. Reload it, then try again.";
}
