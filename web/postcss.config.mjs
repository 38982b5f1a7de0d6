/** Tailwind is the only PostCSS plug-in. Task: T-028 · Spec: plan.md#web-page */
const config = { plugins: { "@tailwindcss/postcss": {} } };

export default config;
