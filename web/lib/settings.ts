/**
 * The settings of the running server: read from the environment, checked, every problem reported at once.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { readFileSync } from "node:fs";

/** What the server is told. URLs carry no trailing slash. */
export interface Settings {
  /** PostgreSQL URL; `sslmode` and `channel_binding` may stand in its query. */
  databaseUrl: string;
  /** Better Auth's secret, at least 32 characters: signs cookies and encrypts the private signing keys. */
  authSecret: string;
  /** Public origin of this page; also `iss` and `aud` of the tokens. */
  authUrl: string;
  /** Public base URL of the gateway, as the browser reaches it. */
  gatewayUrl: string;
  /** False only where `RATE_LIMIT=off`. */
  rateLimited: boolean;
}

/** Thrown with one sentence per wrong setting; never quotes a value. */
export class SettingsError extends Error {}

const MIN_SECRET_LENGTH = 32;
/** Where Docker and Kubernetes put secrets as files, unless `SECRETS_DIR` names another folder. */
const SECRETS_DIR = "/run/secrets";

/** The value of `name` in `env`, else what the file called like it, in lower case, holds; "" where there is neither. */
function secret(env: NodeJS.ProcessEnv, name: string): string {
  if (env[name]) return env[name];
  const file = `${env.SECRETS_DIR || SECRETS_DIR}/${name.toLowerCase()}`;
  try {
    return readFileSync(/* turbopackIgnore: true */ file, "utf8").trim();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return "";
    throw new SettingsError(`${name}: its file in SECRETS_DIR cannot be read (${code}).`);
  }
}

function parse(text: string | undefined): URL | null {
  return text && URL.canParse(text) ? new URL(text) : null;
}

function isHttp(url: URL | null): url is URL {
  return url !== null && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username;
}

/** Reads `env`; throws {@link SettingsError} naming every setting that is missing or wrong. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const problems: string[] = [];
  const databaseUrl = secret(env, "DATABASE_URL");
  const database = parse(databaseUrl);
  if (!database || !/^postgres(ql)?:$/.test(database.protocol))
    problems.push("DATABASE_URL must be a postgresql:// URL.");
  const authSecret = secret(env, "BETTER_AUTH_SECRET");
  if (authSecret.length < MIN_SECRET_LENGTH)
    problems.push(`BETTER_AUTH_SECRET must have at least ${MIN_SECRET_LENGTH} characters.`);
  const auth = parse(env.BETTER_AUTH_URL);
  if (!isHttp(auth) || auth.pathname !== "/")
    problems.push("BETTER_AUTH_URL must be the public http(s) URL of this page, without a path.");
  const gateway = parse(env.GATEWAY_URL);
  if (!isHttp(gateway)) problems.push("GATEWAY_URL must be the public http(s) URL of the gateway.");
  if (problems.length > 0 || !auth || !gateway) throw new SettingsError(problems.join(" "));
  return {
    databaseUrl,
    authSecret,
    authUrl: auth.origin,
    gatewayUrl: gateway.href.replace(/\/$/, ""),
    rateLimited: env.RATE_LIMIT?.trim().toLowerCase() !== "off",
  };
}

let current: Settings | undefined;

/** The settings of this process, read once. */
export function settings(): Settings {
  return (current ??= readSettings());
}
