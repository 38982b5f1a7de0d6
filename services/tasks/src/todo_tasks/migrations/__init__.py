"""The schema's revisions, and the one that this code needs.

Task: T-017 · Spec: plan.md#migrations
"""

VERSION_TABLE = "todo_tasks_version"
"""Alembic's table; named so that other owners of the database keep theirs."""

HEAD = "0002"
"""Alembic's newest revision. Written here, so that a service that starts need not load Alembic to know it."""
