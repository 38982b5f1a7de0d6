/**
 * Edits one task.
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
"use client";

import { useState } from "react";

import { Dialog } from "@/components/dialog";
import { Field, readDraft, TaskFields } from "@/components/task-fields";
import { Problem } from "@/lib/failures";
import { changesBetween, type Task, type TaskDraft } from "@/lib/tasks";
import { useSubmit } from "@/lib/use-submit";

interface Props {
  /** As it is stored now. */
  task: Task;
  categories: readonly string[];
  /** Changes what is of the version of `base`; throws where the service refuses. */
  onSave(base: Task, changes: Partial<TaskDraft>): Promise<void>;
  /** Called when somebody else changed the task: to have it as it is stored. */
  onConflict(): Promise<void>;
  onDelete(): void;
  onClose(): void;
}

/** Saves what was changed here, and only that: what others change meanwhile is theirs. */
export function TaskDialog({ task, categories, onSave, onConflict, onDelete, onClose }: Props) {
  /** As the person saw it when they began to write. */
  const [seen] = useState(task);
  const [isWarned, setIsWarned] = useState(false);
  const { isPending, failure, fields, submit } = useSubmit(async (form) => {
    const changes = changesBetween(seen, readDraft(new FormData(form), seen));
    try {
      if (Object.keys(changes).length > 0) await onSave(isWarned ? task : seen, changes);
    } catch (error) {
      if (error instanceof Problem && error.status === 412) {
        await onConflict();
        setIsWarned(true);
      }
      throw error;
    }
    onClose();
  });

  return (
    <Dialog title="Edit task" onClose={onClose}>
      <form onSubmit={submit} className="space-y-4">
        <Field label="Title" error={fields.title}>
          <input
            name="title"
            required
            autoComplete="off"
            aria-invalid={fields.title !== undefined}
            className="field text-lg"
            defaultValue={seen.title}
          />
        </Field>
        <TaskFields task={seen} categories={categories} errors={fields} />
        {failure !== null && Object.keys(fields).length === 0 && (
          <p role="alert" className="text-alarm">
            {failure}
          </p>
        )}
        <div className="flex items-center gap-2 pt-2">
          <button className="button-primary" disabled={isPending}>
            {isPending ? "Saving…" : "Save"}
          </button>
          <button type="button" className="button-quiet" onClick={onClose}>
            Cancel
          </button>
          <button type="button" className="button-quiet ml-auto text-alarm hover:text-alarm" onClick={onDelete}>
            Delete
          </button>
        </div>
      </form>
    </Dialog>
  );
}
