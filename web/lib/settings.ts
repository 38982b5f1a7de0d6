/**
 * The settings of the running server: read from the environment, checked, every problem reported at once.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */

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

function parse(text: string | undefined): URL | null {
  return text && URL.canParse(text) ? new URL(text) : null;
}

function isHttp(url: URL | null): url is URL {
  return url !== null && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username;
}

/** Reads `env`; throws {@link SettingsError} naming every setting that is missing or wrong. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const problems: string[] = [];
  const database = parse(env.DATABASE_URL);
  if (!database || !/^postgres(ql)?:$/.test(database.protocol))
    problems.push("DATABASE_URL must be a postgresql:// URL.");
  const authSecret = env.BETTER_AUTH_SECRET ?? "";
  if (authSecret.length < MIN_SECRET_LENGTH)
    problems.push(`BETTER_AUTH_SECRET must have at least ${MIN_SECRET_LENGTH} characters.`);
  const auth = parse(env.BETTER_AUTH_URL);
  if (!isHttp(auth) || auth.pathname !== "/")
    problems.push("BETTER_AUTH_URL must be the public http(s) URL of this page, without a path.");
  const gateway = parse(env.GATEWAY_URL);
  if (!isHttp(gateway)) problems.push("GATEWAY_URL must be the public http(s) URL of the gateway.");
  if (problems.length > 0 || !auth || !gateway) throw new SettingsError(problems.join(" "));
  return {
    databaseUrl: env.DATABASE_URL ?? "",
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
