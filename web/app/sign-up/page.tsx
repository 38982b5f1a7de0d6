/** The sign-up page. Task: T-028 · Spec: plan.md#web-page */
import type { Metadata } from "next";

import { CredentialsPage } from "@/components/credentials-page";

export const metadata: Metadata = { title: "Sign up" };

export default function Page() {
  return <CredentialsPage purpose="sign-up" isSessionEnded={false} />;
}
