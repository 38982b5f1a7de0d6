/**
 * One request to the gateway: the token, the time limit, and failures as errors.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import type { AccessToken } from "./access-token";
import { Problem, Unreachable } from "./failures";

const TIMEOUT_MS = 15_000;

export interface Call {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  /** Sent as JSON; as a merge patch (RFC 7396) where the method is PATCH. */
  body?: unknown;
  /** The versions (ETags) that the change is meant for: refused with 412 when the task has another by now. */
  ifMatch?: string;
  /** A POST with the same key and body is carried out once. */
  idempotencyKey?: string;
}

/** Sends `call` to a path of the gateway, with its query; it begins with `/`. */
export type Send = (reference: string, call?: Call) => Promise<Response>;

/**
 * Makes the function that talks to the gateway at `baseUrl`.
 * It returns only answers below 400; throws {@link Problem} or {@link Unreachable}, and what the token source throws.
 * A token that the gateway refuses is replaced once: its key may have been withdrawn since.
 */
export function createSend(baseUrl: string, accessToken: AccessToken): Send {
  async function attempt(reference: string, call: Call, token: string): Promise<Response> {
    const method = call.method ?? "GET";
    const headers = new Headers({ Accept: "application/json", Authorization: `Bearer ${token}` });
    if (call.body !== undefined)
      headers.set("Content-Type", method === "PATCH" ? "application/merge-patch+json" : "application/json");
    if (call.ifMatch !== undefined) headers.set("If-Match", call.ifMatch);
    if (call.idempotencyKey !== undefined) headers.set("Idempotency-Key", call.idempotencyKey);
    try {
      return await fetch(baseUrl + reference, {
        method,
        headers,
        body: call.body === undefined ? null : JSON.stringify(call.body),
        // The token is the credential. Cookies of the page are none of the gateway's business.
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      throw new Unreachable();
    }
  }

  return async (reference, call = {}) => {
    const token = await accessToken.get();
    let response = await attempt(reference, call, token);
    if (response.status === 401) {
      accessToken.forget(token);
      response = await attempt(reference, call, await accessToken.get());
    }
    if (!response.ok) throw await Problem.of(response);
    return response;
  };
}
