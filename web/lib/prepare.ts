/**
 * Makes Better Auth's tables and first signing key before the server answers, and says whether they are there.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { getMigrations } from "better-auth/db/migration";
import type { Pool } from "pg";

import { createAuth } from "./auth";
import { createPool } from "./database";
import { SettingsError, settings } from "./settings";

const TABLES = ["user", "session", "account", "verification", "jwks"];
/** Any number that nothing else in the database locks with. */
const LOCK = 7_236_451_098;

/** Prepares the database; where it cannot, prints one sentence that says why and ends the process with code 1. */
export async function prepareOrExit(): Promise<void> {
  try {
    await prepare();
  } catch (error) {
    console.error(explain(error));
    process.exit(1);
  }
}

/**
 * Creates what is missing, once even when several servers start together.
 * On its own connections, closed again: nothing here is shared with the requests that follow.
 */
async function prepare(): Promise<void> {
  const pool = createPool(settings().databaseUrl);
  try {
    await underLock(pool, async () => {
      const auth = createAuth(settings(), pool);
      const { runMigrations } = await getMigrations(auth.options);
      await runMigrations();
      await auth.api.getJwks();
    });
  } finally {
    await pool.end();
  }
}

/** Runs `work` while a transaction holds the lock: unlike a session's, it works through a transaction-mode pooler. */
async function underLock(pool: Pool, work: () => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock($1)", [LOCK]);
    await work();
    await client.query("commit");
  } finally {
    client.release(true);
  }
}

/** True when the database answers and every table is there. Throws where the database does not answer. */
export async function isPrepared(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query<{ prepared: boolean }>(
    "select bool_and(to_regclass(format('%I', name)) is not null) as prepared from unnest($1::text[]) as name",
    [TABLES],
  );
  return rows[0]?.prepared === true;
}

/** Why the server cannot start, as one sentence that quotes no URL and no password. */
export function explain(error: unknown): string {
  if (error instanceof SettingsError) return error.message;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.startsWith("28") || code === "3D000")
    return `The database refused the user, password or database name of DATABASE_URL (SQLSTATE ${code}).`;
  if (code) return `The database of DATABASE_URL does not answer or cannot be prepared (${code}).`;
  return `The database of DATABASE_URL does not answer or cannot be prepared: ${error instanceof Error ? error.message : "unknown error"}.`;
}
