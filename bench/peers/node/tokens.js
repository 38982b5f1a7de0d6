// Middleware: the user of a Better Auth token. CACHE_TOKENS=1 remembers verified tokens until they expire.
import { createMiddleware } from "hono/factory";
import { createRemoteJWKSet, jwtVerify } from "jose";

const issuer = process.env.BETTER_AUTH_URL;
const keys = createRemoteJWKSet(new URL(`${issuer}/api/auth/jwks`));
const verified = process.env.CACHE_TOKENS === "1" ? new Map() : null;
const MOST = 10_000;

async function payloadOf(token) {
  const known = verified?.get(token);
  if (known && known.exp > Date.now() / 1000) return known;
  const { payload } = await jwtVerify(token, keys, { issuer, audience: issuer });
  if (verified) {
    if (verified.size >= MOST) verified.delete(verified.keys().next().value);
    verified.set(token, payload);
  }
  return payload;
}

export const authenticate = createMiddleware(async (c, next) => {
  const [scheme, token] = (c.req.header("Authorization") ?? "").split(" ");
  if (scheme !== "Bearer" || !token) return c.json({ message: "Missing token" }, 401);
  try {
    c.set("userId", (await payloadOf(token)).sub);
  } catch {
    return c.json({ message: "Invalid token" }, 401);
  }
  await next();
});
