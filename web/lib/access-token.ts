/**
 * The short-lived token for the gateway: kept in memory only, replaced before it expires.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { authClient } from "./auth-client";
import { Problem, SignedOut, Unreachable } from "./failures";

/** A token is replaced this long before it expires, so that none expires on its way. */
const MARGIN_MS = 30_000;

export interface AccessToken {
  /** The token in force; fetched where there is none. Throws {@link SignedOut}, {@link Unreachable} or {@link Problem}. */
  get(): Promise<string>;
  /** Drops `token` after the gateway refused it, so that the next `get` fetches another. */
  forget(token: string): void;
}

interface Kept {
  token: string;
  renewAt: number;
}

/** Makes the token source of `userId`. Callers that come while a token is fetched wait for that one. */
export function createAccessToken(userId: string): AccessToken {
  let kept: Kept | null = null;
  let fetching: Promise<Kept> | null = null;

  return {
    async get() {
      if (kept && Date.now() < kept.renewAt) return kept.token;
      fetching ??= fetchToken(userId).finally(() => (fetching = null));
      kept = await fetching;
      return kept.token;
    },
    forget(token) {
      if (kept?.token === token) kept = null;
    },
  };
}

async function fetchToken(userId: string): Promise<Kept> {
  const { data, error } = await authClient.token().catch(() => {
    throw new Unreachable();
  });
  if (error?.status === 401) throw new SignedOut();
  if (error) throw error.status ? new Problem(error.status, "No token could be had. Try again.") : new Unreachable();
  const { sub, iat, exp } = claimsOf(data.token);
  // Somebody else signed in from another tab: the cookie is theirs now, but this page shows the first user's tasks.
  if (sub !== userId) throw new SignedOut();
  // By the token's own length of life, never by comparing its clock with this machine's.
  const lifeMs = (exp - iat) * 1_000;
  return { token: data.token, renewAt: Date.now() + Math.max(lifeMs - MARGIN_MS, lifeMs / 2) };
}

/** The claims of `token`, unverified: they decide nothing but when to fetch the next one and whose page this is. */
function claimsOf(token: string): { sub: string; iat: number; exp: number } {
  const payload = token.split(".")[1] ?? "";
  const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes)) as { sub: string; iat: number; exp: number };
}
