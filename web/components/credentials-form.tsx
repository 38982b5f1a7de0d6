/**
 * The form that signs a person up or in.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
"use client";

import { useActionState } from "react";

import { authClient } from "@/lib/auth-client";
import { describe, Unreachable } from "@/lib/failures";

export type Purpose = "sign-in" | "sign-up";

interface Attempt {
  email: string;
  name: string;
  /** Why it failed, as a sentence; null before the first attempt. */
  failure: string | null;
}

async function submit(purpose: Purpose, form: FormData): Promise<Attempt> {
  const [name = "", email = "", password = ""] = ["name", "email", "password"].map((key) =>
    String(form.get(key) ?? ""),
  );
  try {
    const { error } =
      purpose === "sign-up"
        ? await authClient.signUp.email({ name, email, password })
        : await authClient.signIn.email({ email, password });
    if (error) return { name, email, failure: sentence(error) };
  } catch {
    return { name, email, failure: describe(new Unreachable()) };
  }
  // A whole navigation, not the router's: nothing of another user may be left in this page's memory.
  window.location.assign("/");
  return { name, email, failure: null };
}

function sentence({ message, status }: { message?: string | undefined; status: number }): string {
  if (!status || status >= 502) return describe(new Unreachable());
  return message ? `${message.replace(/\.$/, "")}.` : `The server refused the request (${status}).`;
}

/** Says in words why an attempt failed, and keeps what was typed except the password. */
export function CredentialsForm({ purpose }: { purpose: Purpose }) {
  const [attempt, action, isPending] = useActionState<Attempt, FormData>((_, form) => submit(purpose, form), {
    name: "",
    email: "",
    failure: null,
  });
  const isNew = purpose === "sign-up";

  return (
    <form action={action} className="mt-8 space-y-4">
      {isNew && (
        <Field label="Name">
          <input className="field" name="name" autoComplete="name" required defaultValue={attempt.name} />
        </Field>
      )}
      <Field label="E-mail">
        <input className="field" name="email" type="email" autoComplete="email" required defaultValue={attempt.email} />
      </Field>
      <Field label="Password" hint={isNew ? "At least 8 characters" : undefined}>
        <input
          className="field"
          name="password"
          type="password"
          autoComplete={isNew ? "new-password" : "current-password"}
          required
        />
      </Field>
      <p role="alert" className="text-alarm empty:hidden">
        {attempt.failure}
      </p>
      <button className="button-primary w-full" disabled={isPending}>
        {isPending ? "One moment…" : isNew ? "Make my account" : "Sign in"}
      </button>
    </form>
  );
}

function Field({ label, hint, children }: { label: string; hint?: string | undefined; children: React.ReactNode }) {
  return (
    <label className="block">
      <span className="mb-1 flex justify-between text-sm font-bold">
        {label}
        {hint && <span className="font-normal text-quiet">{hint}</span>}
      </span>
      {children}
    </label>
  );
}
