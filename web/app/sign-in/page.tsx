/** The sign-in page. Task: T-028 · Spec: plan.md#web-page */
import type { Metadata } from "next";

import { CredentialsPage } from "@/components/credentials-page";

export const metadata: Metadata = { title: "Sign in" };

export default async function Page({ searchParams }: PageProps<"/sign-in">) {
  const { ended } = await searchParams;
  return <CredentialsPage purpose="sign-in" isSessionEnded={ended !== undefined} />;
}
