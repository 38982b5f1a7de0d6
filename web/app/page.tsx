/**
 * The todo page of whoever is signed in; everybody else is sent to sign in.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { headers } from "next/headers";
import { redirect } from "next/navigation";

import { TaskPage } from "@/components/task-page";
import { auth } from "@/lib/auth";
import { settings } from "@/lib/settings";

export default async function Page() {
  const session = await auth().api.getSession({ headers: await headers() });
  if (!session) redirect("/sign-in");
  const { id, name } = session.user;
  return <TaskPage key={id} user={{ id, name }} gatewayUrl={settings().gatewayUrl} />;
}
