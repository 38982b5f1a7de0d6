"""The other names and words that front ends in use have for what is called otherwise here.

Task: T-020 · Spec: plan.md#tasks-api
"""

from collections.abc import Mapping

from todo_tasks.inputs import other_names
from todo_tasks.paging import PAGE_PARAMETERS

MEMBERS = other_names(
    {
        "completed": ("is_completed", "is_complete", "isCompleted", "isComplete"),
        "category_id": ("categoryId",),
        "due_date": ("dueDate",),
        "user_id": ("userId",),
        "completed_at": ("completedAt",),
        "created_at": ("createdAt",),
        "updated_at": ("updatedAt",),
    }
)
"""Members of a task's body."""

PARAMETERS = PAGE_PARAMETERS | other_names(
    {
        "status": ("status_filter", "statusFilter"),
        "completed": ("is_completed", "is_complete", "isCompleted", "isComplete"),
        "category_id": ("categoryId",),
        "due_before": ("dueBefore",),
        "due_after": ("dueAfter",),
        "search": ("q",),
        "sort_by": ("sort", "sortBy"),
        "order": ("sort_order", "sortOrder", "sort_direction", "sortDirection"),
    }
)
"""Parameters of a list of tasks."""

SORTS = other_names(
    {
        "created_at": ("createdAt",),
        "updated_at": ("updatedAt",),
        "due_date": ("dueDate",),
        "completed_at": ("completedAt",),
    }
)
"""Orders of a list; each may have a `-` before it, for descending."""

COMPLETED_BY_STATUS: Mapping[str, bool | None] = {
    "all": None,
    "active": False,
    "incomplete": False,
    "done": True,
}
"""What a list's `status` says beside the statuses themselves: completed, not completed, or either."""
