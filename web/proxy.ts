/**
 * The Content-Security-Policy of every page: scripts of this server only, requests to this server and the gateway only.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { NextResponse, type NextRequest } from "next/server";

import { settings } from "@/lib/settings";

/** Sets the policy with a fresh nonce; Next.js reads it from the request's header and marks its own scripts with it. */
export function proxy(request: NextRequest): NextResponse {
  const policy = contentSecurityPolicy(crypto.randomUUID());
  const headers = new Headers(request.headers);
  headers.set("Content-Security-Policy", policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("Content-Security-Policy", policy);
  return response;
}

function contentSecurityPolicy(nonce: string): string {
  // `next dev` evaluates source maps, injects styles and talks to itself over a web socket.
  const isDevelopment = process.env.NODE_ENV === "development";
  return [
    "default-src 'self'",
    `script-src 'self' 'nonce-${nonce}'${isDevelopment ? " 'unsafe-eval'" : ""}`,
    `style-src 'self'${isDevelopment ? " 'unsafe-inline'" : ""}`,
    `connect-src 'self' ${new URL(settings().gatewayUrl).origin}`,
    "img-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

export const config = { matcher: "/((?!api/|_next/static/).*)" };
