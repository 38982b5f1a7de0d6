/**
 * Light, dark, or as the system has it: kept in a cookie, so that the server sends the page in the right one.
 *
 * Task: T-028 · Spec: plan.md#web-page
 */
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export const THEME_COOKIE = "theme";
const YEAR_S = 365 * 24 * 60 * 60;

/** The theme that a cookie's value names; anything unknown is the system's. */
export function readTheme(value: string | undefined): Theme {
  return THEMES.find((theme) => theme === value) ?? "system";
}

/** Shows the page in `theme` and keeps the choice for a year. Browser only. */
export function chooseTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  document.cookie = `${THEME_COOKIE}=${theme}; path=/; max-age=${YEAR_S}; samesite=lax`;
}
