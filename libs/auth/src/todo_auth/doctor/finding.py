"""One thing that the doctor says.

Task: T-035 · Spec: plan.md#doctor
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]

_SHOWN_CHARS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: `ok`, `warning` (works, but know it) or `problem`. `code`: stable, for programs. `text`: one
    or two sentences. `hint`: what to do about it, or empty.
    """

    level: Level
    code: str
    text: str
    hint: str = ""


def shown(value: object) -> str:
    """A value that somebody else wrote, fit for a terminal: quoted, ASCII, cut."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
