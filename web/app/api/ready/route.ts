/**
 * Readiness: whether this server can sign people in.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { connection } from "next/server";

import { auth } from "@/lib/auth";
import { explain, isPrepared } from "@/lib/prepare";

/** 200 when the database answers and Better Auth's tables are there, else 503 with the reason. */
export async function GET(): Promise<Response> {
  await connection();
  try {
    if (await isPrepared(auth().options.database)) return Response.json({ status: "ok" });
    return unavailable("Better Auth's tables are missing.");
  } catch (error) {
    return unavailable(explain(error));
  }
}

function unavailable(detail: string): Response {
  return Response.json({ status: "unavailable", detail }, { status: 503, headers: { "Retry-After": "1" } });
}
