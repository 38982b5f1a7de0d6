/**
 * How the page is built and which fixed headers every answer carries.
 * The Content-Security-Policy is not here: it names the gateway, which is a setting of the running server (proxy.ts).
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import type { NextConfig } from "next";

const config: NextConfig = {
  // One folder with a server.js and only the packages it needs: starts fast, and is all that an image has to hold.
  output: "standalone",
  // Named, or Next.js looks for lock files above this folder and puts server.js somewhere else.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  // TypeScript 7 has no programming interface any more: types are checked by its command.
  experimental: { useTypeScriptCli: true },
  poweredByHeader: false,
  devIndicators: false,
  headers: async () => [
    {
      source: "/:path*",
      headers: [
        { key: "X-Content-Type-Options", value: "nosniff" },
        { key: "Referrer-Policy", value: "strict-origin-when-cross-origin" },
        { key: "Cross-Origin-Opener-Policy", value: "same-origin" },
        { key: "Permissions-Policy", value: "camera=(), geolocation=(), microphone=()" },
      ],
    },
  ],
};

export default config;
