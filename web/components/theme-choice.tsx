/** Chooses between light, dark and the system's theme. Task: T-028 · Spec: plan.md#web-page */
"use client";

import { useState } from "react";

import { chooseTheme, THEMES, type Theme } from "@/lib/theme";

const NAMES: Record<Theme, string> = { system: "As the system", light: "Light", dark: "Dark" };

/** Three radio buttons that look like words; the chosen one is underlined. */
export function ThemeChoice({ initial }: { initial: Theme }) {
  const [theme, setTheme] = useState(initial);

  function choose(next: Theme) {
    setTheme(next);
    chooseTheme(next);
  }

  return (
    <fieldset className="flex flex-wrap items-center gap-x-4 gap-y-1 text-quiet">
      <legend className="float-left">Appearance</legend>
      {THEMES.map((name) => (
        <label
          key={name}
          className="border-b-2 border-transparent hover:text-ink has-checked:border-pine has-checked:text-ink has-focus-visible:outline-2 has-focus-visible:outline-pine"
        >
          <input type="radio" name="theme" className="sr-only" checked={theme === name} onChange={() => choose(name)} />
          {NAMES[name]}
        </label>
      ))}
    </fieldset>
  );
}
