/**
 * Sign-in and sign-up: the same page, told apart by one field and its words.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import { headers } from "next/headers";
import Link from "next/link";
import { redirect } from "next/navigation";

import { CredentialsForm, type Purpose } from "@/components/credentials-form";
import { auth } from "@/lib/auth";

const WORDS = {
  "sign-in": { title: "Welcome back.", other: "New here?", link: "Make an account", href: "/sign-up" },
  "sign-up": { title: "What needs doing?", other: "Have an account?", link: "Sign in", href: "/sign-in" },
} as const;

/** Sends whoever is signed in already to the tasks. */
export async function CredentialsPage({ purpose, isSessionEnded }: { purpose: Purpose; isSessionEnded: boolean }) {
  if (await auth().api.getSession({ headers: await headers() })) redirect("/");
  const { title, other, link, href } = WORDS[purpose];
  return (
    <main className="mx-auto w-full max-w-4xl px-5 py-14 sm:px-8 sm:py-24">
      <div className="max-w-sm">
        <p className="text-sm font-bold">Todo</p>
        <h1 className="mt-6 text-4xl font-bold tracking-[-0.03em] text-balance sm:text-5xl">{title}</h1>
        {isSessionEnded && (
          <p role="status" className="mt-4 border-l-2 border-amber pl-3">
            You were signed out. Sign in again to go on.
          </p>
        )}
        <CredentialsForm purpose={purpose} />
        <p className="mt-6 text-quiet">
          {other}{" "}
          <Link href={href} className="text-pine underline underline-offset-4">
            {link}
          </Link>
        </p>
      </div>
    </main>
  );
}
