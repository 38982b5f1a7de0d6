/**
 * The one place that makes connections to PostgreSQL.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { Pool } from "pg";

const CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;

/** Makes a pool of at most 10 connections to `url`; a connection that is not had within 5 s is an error. */
export function createPool(url: string): Pool {
  const pool = new Pool({
    connectionString: withVerifiedTls(url),
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A server that drops an idle connection (a sleeping compute does) must not end the process.
  pool.on("error", (error) => console.warn(`An idle database connection was lost: ${error.message}`));
  return pool;
}

/**
 * Says `verify-full` where the URL asks for TLS without saying how it is verified.
 * The driver reads it so already, but warns on every start that it will not for ever.
 */
function withVerifiedTls(url: string): string {
  const parsed = new URL(url);
  const mode = parsed.searchParams.get("sslmode");
  if (mode !== "require" && mode !== "verify-ca") return url;
  parsed.searchParams.set("sslmode", "verify-full");
  return parsed.href;
}
