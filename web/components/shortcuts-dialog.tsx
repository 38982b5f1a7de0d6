/** Explains the keys. Task: T-028 · Spec: plan.md#web-page */
"use client";

import { Dialog } from "@/components/dialog";

const KEYS: [keys: string[], does: string][] = [
  [["N"], "Write a new task"],
  [["/"], "Search"],
  [["↓", "↑"], "Go to the next or the previous task"],
  [["Space"], "Complete the task, or open it again"],
  [["Enter"], "Edit the task"],
  [["Delete"], "Delete the task"],
  [["Alt ↑", "Alt ↓"], "Move the task, where the list is in your order"],
  [["U"], "Do what the bar at the bottom offers: undo, or try again"],
  [["Esc"], "Close a dialog, clear the search"],
  [["?"], "Show these keys"],
];

export function ShortcutsDialog({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-2">
        {KEYS.map(([keys, does]) => (
          <div key={does} className="contents">
            <dt className="flex gap-1">
              {keys.map((name) => (
                <kbd key={name} className="key">
                  {name}
                </kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog" className="mt-6">
        <button className="button-primary">Close</button>
      </form>
    </Dialog>
  );
}
