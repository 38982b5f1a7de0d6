/**
 * The todo page of whoever is signed in; everybody else is sent to sign in.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { headers } from "next/headers";
import { redirect } from "next/navigation";

import { TaskPage } from "@/components/task-page";
import { auth } from "@/lib/auth";
import { settings } from "@/lib/settings";

export default async function Page({ searchParams }: PageProps<"/">) {
  const session = await auth().api.getSession({ headers: await headers() });
  if (!session) redirect("/sign-in");
  const { id, name } = session.user;
  const said = Object.entries(await searchParams).flatMap(([key, value]) =>
    typeof value === "string" ? [[key, value]] : [],
  );
  const query = new URLSearchParams(said).toString();
  return <TaskPage key={id} user={{ id, name }} gatewayUrl={settings().gatewayUrl} query={query} />;
}
