"""A statement: a SQLAlchemy Core expression over the tables, compiled once to SQL text that asyncpg takes.

Task: T-018 · Spec: plan.md#statements
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import BindParameter, ClauseElement, Executable, TableClause, UpdateBase
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.sql.visitors import iterate


class _Compiler(PGCompiler_asyncpg):
    """Writes constants into the text; only what a request gives stays a parameter."""

    def visit_bindparam(self, bindparam: BindParameter[Any], *args: Any, **kwargs: Any) -> str:
        if not bindparam.required:
            return str(self.render_literal_bindparam(bindparam))  # type: ignore[no-untyped-call]
        return str(super().visit_bindparam(bindparam, *args, **kwargs))  # type: ignore[no-untyped-call]


class _Dialect(PGDialect_asyncpg):
    statement_compiler = _Compiler
    supports_statement_cache = False


_DIALECT = _Dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's compilers have no types


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with numbered parameters (`$1`, `$2`…), their names in that order, and its `summary`."""

    text: str
    parameters: tuple[str, ...]
    summary: str

    @classmethod
    def of(cls, expression: Executable) -> "Statement":
        """Compile an expression; its parameters are the `bindparam`s that have no value."""
        compiled = expression.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # ClauseElement has it
        return cls(str(compiled), tuple(compiled.positiontup or ()), summary(cast(ClauseElement, expression)))

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """The values in the order of the parameters. Raises KeyError for one that is missing."""
        return [values[name] for name in self.parameters]


def summary(expression: ClauseElement) -> str:
    """What a statement does, in operations and tables: its writes (`INSERT task`), or what it reads."""
    nodes = list(iterate(expression))
    writes = [f"{node.__visit_name__.upper()} {node.table}" for node in nodes if isinstance(node, UpdateBase)]
    if writes:
        return " ".join(dict.fromkeys(writes))
    return " ".join(
        dict.fromkeys(["SELECT", *(node.name for node in nodes if isinstance(node, TableClause))])
    )
