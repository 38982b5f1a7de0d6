"""The wire profile: in which shape answers are written, for front ends that expect another than the default.

Compiled once at start. Members get their names in the statements, so that PostgreSQL writes them; envelopes
are texts that rows are put into. Nothing that was written is read and written again, and the default profile
leaves every statement and every answer as it is.

Task: T-052 · Spec: plan.md#wire-profile
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, func

Case = Literal["snake", "camel"]

DONE = "completed"
MAY_BE_EMPTY = frozenset({"description", "category", "color"})
"""The texts whose absence `empty_text` writes. Dates and ids stay null: an empty text is neither."""

PAGE_PLACES = ("items", "total", "limit", "offset", "page", "pages", "next_cursor")
"""What the envelope of a list may hold. `page` counts from 1. `offset` and `page` are null on a page that
began at a cursor, `next_cursor` on the last one.
"""
_COUNTED = frozenset({"total", "pages"})


@dataclass(frozen=True, eq=False, slots=True)
class Envelope:
    """JSON text around what varies. `text`: for `str.format_map`; `template`: the same as it was given, a
    text `$name` where something is put; `places`: the names of what is.
    """

    template: Mapping[str, object]
    text: str
    places: frozenset[str]

    @classmethod
    def of(cls, template: Mapping[str, object]) -> "Envelope":
        """Compile a template: objects, lists and constants, and texts `$name`."""
        text = json.dumps(template, separators=(",", ":"), ensure_ascii=False)
        text = text.replace("{", "{{").replace("}", "}}")
        places = frozenset(places_of(template))
        for name in places:
            # A quote within a text is escaped: between two bare ones there is a whole text.
            text = text.replace(f'"${name}"', f"{{{name}}}")
        return cls(template, text, places)

    @property
    def counts(self) -> bool:
        """Whether it needs the number of all rows."""
        return not self.places.isdisjoint(_COUNTED)

    def around(self, **texts: str) -> str:
        """The text with these JSON texts in their places; those that it has no place for are left out."""
        return self.text.format_map(texts)


def places_of(template: object) -> list[str]:
    """The names of what is put into a template."""
    if isinstance(template, str):
        return [template[1:]] if template.startswith("$") else []
    if isinstance(template, Mapping):
        return [place for inner in template.values() for place in places_of(inner)]
    if isinstance(template, Sequence):
        return [place for inner in template for place in places_of(inner)]
    return []


def whole(item: str, envelope: Envelope | None) -> str:
    """One resource's JSON text in its envelope, if it has one."""
    return item if envelope is None else envelope.around(item=item)


@dataclass(frozen=True, eq=False)
class Profile:
    """How answers are written and what bodies may hold. Two are equal when they are one: it is part of the
    keys under which statements are remembered.

    `case`: of members' names. `done`: the name of a task's `completed`; None: that. `empty_text`: `""` where
    a text is missing, instead of null. `ignore_unknown`: unknown members of bodies are ignored, not refused.
    `tasks`, `categories`: envelopes of lists; `task`, `category`, `stats`: of one. `deleted`: the body of a
    DELETE's 200; None: 204 without one.

    Errors are problem details under every profile, and their pointers name members as the client wrote them.
    An idempotency key's kept answer keeps the members' names that it was written with, and is put into the
    envelope of the profile in force. Query parameters have all their names under every profile.
    """

    case: Case = "snake"
    done: str | None = None
    empty_text: bool = False
    ignore_unknown: bool = False
    tasks: Envelope | None = None
    task: Envelope | None = None
    categories: Envelope | None = None
    category: Envelope | None = None
    stats: Envelope | None = None
    deleted: Envelope | None = None
    source: str = field(default="default")

    def name(self, member: str, *, of_task: bool = False) -> str:
        """A member's name on the wire. `of_task`: a task's, where `completed` is the done field."""
        if of_task and member == DONE and self.done is not None:
            return self.done
        return camel(member) if self.case == "camel" else member

    def written(
        self, members: Sequence[ColumnElement[Any]], *, of_task: bool = False
    ) -> list[ColumnElement[Any]]:
        """The members of a row as this profile writes them; as they are where it changes nothing."""
        return [self._written(member, of_task) for member in members]

    def _written(self, member: Any, of_task: bool) -> ColumnElement[Any]:
        name = self.name(member.name, of_task=of_task)
        if self.empty_text and member.name in MAY_BE_EMPTY:
            return func.coalesce(member, "").label(name)
        return member if name == member.name else member.label(name)  # type: ignore[no-any-return]


def camel(name: str) -> str:
    """`due_date` as `dueDate`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


DEFAULT = Profile()
CAMEL = Profile(case="camel", source="camel")
NAMED: Mapping[str, Profile] = {"default": DEFAULT, "camel": CAMEL}
