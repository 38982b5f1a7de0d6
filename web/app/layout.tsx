/**
 * The shell of every page: language, theme, footer.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
import type { Metadata, Viewport } from "next";
import { cookies } from "next/headers";
import type { ReactNode } from "react";

import { ThemeChoice } from "@/components/theme-choice";
import { readTheme, THEME_COOKIE } from "@/lib/theme";

import "./globals.css";

export const metadata: Metadata = { title: { default: "Todo", template: "%s · Todo" }, robots: "noindex" };

export const viewport: Viewport = { width: "device-width", initialScale: 1, colorScheme: "light dark" };

export default async function Layout({ children }: { children: ReactNode }) {
  const theme = readTheme((await cookies()).get(THEME_COOKIE)?.value);
  return (
    <html lang="en-GB" data-theme={theme}>
      <body className="flex min-h-dvh flex-col font-sans">
        {children}
        <footer className="mx-auto mt-auto w-full max-w-4xl px-5 py-6 text-sm sm:px-8">
          <ThemeChoice initial={theme} />
        </footer>
      </body>
    </html>
  );
}
