/** One of several, chosen from the browser's own list. Task: T-058 · Spec: plan.md#web-page */
"use client";

interface Props<T extends string> {
  label: string;
  value: T;
  /** What each value is called, in the order of the list. */
  options: readonly (readonly [value: T, name: string])[];
  onChange(value: T): void;
}

export function Choice<T extends string>({ label, value, options, onChange }: Props<T>) {
  return (
    <select
      aria-label={label}
      value={value}
      data-chosen={value !== options[0]?.[0] || undefined}
      onChange={(event) => onChange(event.target.value as T)}
      className="-ml-1 max-w-44 bg-transparent py-1.5 text-quiet hover:text-ink data-chosen:font-bold data-chosen:text-ink"
    >
      {options.map(([option, name]) => (
        <option key={option} value={option}>
          {name}
        </option>
      ))}
    </select>
  );
}
