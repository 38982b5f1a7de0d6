/**
 * Better Auth: who may sign in, and the short-lived token that the gateway verifies.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { betterAuth } from "better-auth";
import { bearer, jwt } from "better-auth/plugins";
import type { Pool } from "pg";

import { createPool } from "./database";
import { settings, type Settings } from "./settings";

const DAY_S = 24 * 60 * 60;

/** Makes a Better Auth instance on `database`. Tokens: EdDSA, 15 minutes, `iss` = `aud` = the page's URL. */
export function createAuth({ authUrl, authSecret, rateLimited }: Settings, database: Pool) {
  return betterAuth({
    appName: "Todo",
    baseURL: authUrl,
    secret: authSecret,
    database,
    trustedOrigins: originsOf(authUrl),
    emailAndPassword: { enabled: true, minPasswordLength: 8, maxPasswordLength: 128 },
    plugins: [
      // A withdrawn key stays published for a day: longer than any token it signed lives.
      jwt({ jwks: { rotationInterval: 30 * DAY_S, gracePeriod: DAY_S } }),
      bearer(),
    ],
    // Per address and path. A count starts anew only after a window without a request that was let through, so
    // that a steady trickle reaches any limit: a short window keeps the pause short for the many behind one
    // address. For the same reason more than Better Auth's own three attempts to sign in; scrypt slows guessing too.
    rateLimit: {
      enabled: rateLimited,
      window: 1,
      max: 100,
      customRules: { "/sign-in/*": { window: 10, max: 20 }, "/sign-up/*": { window: 10, max: 20 } },
    },
    telemetry: { enabled: false },
  });
}

/** A page on this machine is opened as `localhost` and as `127.0.0.1`; any other has one origin. */
function originsOf(authUrl: string): string[] {
  const url = new URL(authUrl);
  const loopback = ["localhost", "127.0.0.1"];
  if (!loopback.includes(url.hostname)) return [url.origin];
  return loopback.map((host) => url.origin.replace(url.hostname, host));
}

export type Auth = ReturnType<typeof createAuth>;

let current: Auth | undefined;

/** The instance of this process, made at its first use: a build has no settings. */
export function auth(): Auth {
  return (current ??= createAuth(settings(), createPool(settings().databaseUrl)));
}
