/** What is shown at an address that leads nowhere. Task: T-028 · Spec: plan.md#web-page */
import Link from "next/link";

export default function NotFound() {
  return (
    <main className="mx-auto w-full max-w-md px-5 py-24">
      <h1 className="text-3xl font-bold tracking-tight">There is nothing at this address.</h1>
      <Link href="/" className="mt-6 inline-block text-pine underline underline-offset-4">
        Go to your tasks
      </Link>
    </main>
  );
}
