/**
 * Better Auth in the browser: sign-up, sign-in, sign-out, and the token for the gateway.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";

/** Talks to this page's own origin, with its cookie. */
export const authClient = createAuthClient({ plugins: [jwtClient()] });
