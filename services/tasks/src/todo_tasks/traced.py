"""Spans of the statements of sessions; those of asyncpg are made where they are sent.

Task: T-046 · Spec: plan.md#tracing
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from psycopg2.extensions import cursor
from sqlalchemy import Engine, ExecutionContext, event

from todo_tasks.statement import summary

StatementSpan = Callable[[str], AbstractContextManager[None]]
"""What a statement runs within, made from its summary: `todo_service.tracing.spans.Tracing.statement`."""


def watch(engine: Engine, span: StatementSpan) -> None:
    """Lets each statement of the engine's sessions run within a span."""

    def execute(
        cursor: cursor, text: str, parameters: Mapping[str, object], context: ExecutionContext
    ) -> bool:
        statement = context.compiled.statement if context.compiled else None
        with span("SQL" if statement is None else summary(statement)):
            cursor.execute(text, parameters)
        return True  # it is done

    event.listen(engine, "do_execute", execute)
