// Real Better Auth with everything in memory, one server an algorithm on a free port: `node server.mjs default,ES256`.
// Prints one line of JSON, {"default": "http://127.0.0.1:…", …}, and ends with its standard input.
// Beside Better Auth's own endpoints, for what an operator does to its table and settings:
// POST /keys (a new key beside the old ones), DELETE /keys/KID, POST /secret (another one).
//
// Task: T-037 · Spec: plan.md#real-better-auth
import { once } from "node:events";
import { createServer } from "node:http";

import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { bearer, jwt } from "better-auth/plugins";

process.stdin.resume().on("end", () => process.exit(0));

const addresses = {};
for (const algorithm of process.argv[2].split(",")) {
  addresses[algorithm] = await serve(algorithm);
}
console.log(JSON.stringify(addresses));

async function serve(algorithm) {
  const tables = { user: [], session: [], account: [], verification: [], jwks: [] };
  const server = createServer((request, response) => {
    const operation = operations[`${request.method} ${request.url.replace(/^\/keys\/.*/, "/keys/KID")}`];
    if (operation === undefined) {
      return handle(request, response);
    }
    operation(request.url.split("/")[2]).then(
      () => response.writeHead(204).end(),
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseURL = `http://127.0.0.1:${server.address().port}`;

  let auth = make("a secret for tests, thirty-two bytes and more");
  let handle = toNodeHandler(auth);

  const operations = {
    async "POST /keys"() {
      // It makes a key when it finds none, and signs with the youngest.
      const old = tables.jwks.splice(0);
      await auth.api.getJwks();
      tables.jwks.unshift(...old);
    },
    async "DELETE /keys/KID"(kid) {
      tables.jwks.splice(tables.jwks.findIndex((key) => key.id === kid) >>> 0, 1);
    },
    async "POST /secret"() {
      auth = make("another secret for tests, thirty-two bytes and more");
      handle = toNodeHandler(auth);
    },
  };

  function make(secret) {
    return betterAuth({
      baseURL,
      secret,
      database: memoryAdapter(tables),
      emailAndPassword: { enabled: true },
      rateLimit: { enabled: false },
      telemetry: { enabled: false },
      logger: { level: "error" },
      // "default" leaves the algorithm to Better Auth.
      plugins: [jwt(algorithm === "default" ? {} : { jwks: { keyPairConfig: { alg: algorithm } } }), bearer()],
    });
  }

  return baseURL;
}
