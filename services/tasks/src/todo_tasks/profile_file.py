"""Reads a wire profile from its TOML file, and names everything that is wrong with it at once.

Task: T-052 · Spec: plan.md#wire-profile
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from todo_tasks.categories.schemas import CategoryPublic
from todo_tasks.profile import DONE, NAMED, PAGE_PLACES, Case, Envelope, Profile, camel, places_of
from todo_tasks.tasks import names
from todo_tasks.tasks.schemas import TaskCreate, TaskPublic, TaskQuery

MAX_BYTES = 65_536
MAX_DEPTH = 8

_LIST = frozenset(PAGE_PLACES)
_ONE = frozenset({"item"})
ENVELOPES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "tasks": (_LIST, frozenset({"items"})),
    "categories": (_LIST, frozenset({"items"})),
    "task": (_ONE, _ONE),
    "category": (_ONE, _ONE),
    "stats": (_ONE, _ONE),
    "deleted": (frozenset({"id"}), frozenset()),
}
"""Each envelope's table in the file: what it may hold, and what it must hold once."""
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "case": get_args(Case),
    "empty_text": ("null", "empty"),
    "unknown_members": ("refuse", "ignore"),
}
_KEYS = (*_CHOICES, "done", *ENVELOPES)
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}", re.ASCII)
_MODELS: tuple[type[BaseModel], ...] = (TaskPublic, TaskCreate, TaskQuery, CategoryPublic)
_NAMES = {name for model in _MODELS for name in model.model_fields} - {DONE}
_OTHERS = {name for name, stands_for in (names.MEMBERS | names.PARAMETERS).items() if stands_for != DONE}
_TAKEN = _NAMES | {camel(name) for name in _NAMES} | _OTHERS
"""What `done` cannot be called: it would hide another member, or a parameter of a list."""


def load(text: str) -> Profile:
    """The profile of that name, else of the file at that path. Raises ValueError with every problem."""
    if text in NAMED:
        return NAMED[text]
    path = Path(text)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        near = _near(text, NAMED)
        raise ValueError(f"is neither {' nor '.join(NAMED)} nor a file that can be read{near}") from None
    if len(raw) > MAX_BYTES:
        raise ValueError(f"the file has more than {MAX_BYTES} bytes")
    try:
        given = tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at (?:line \d+, column \d+|end of document)", str(error))
        raise ValueError(f"the file is not TOML{f', {where[0]}' if where else ''}") from None
    except RecursionError:
        raise ValueError(f"the file is nested deeper than {MAX_DEPTH} levels") from None
    found = problems(given)
    if found:
        raise ValueError("; ".join(found))
    return Profile(
        case=given.get("case", "snake"),
        done=given.get("done"),
        empty_text=given.get("empty_text") == "empty",
        ignore_unknown=given.get("unknown_members") == "ignore",
        source=path.name,
        **{name: Envelope.of(given[name]) for name in ENVELOPES if name in given},
    )


def problems(given: Mapping[str, Any]) -> list[str]:
    """All that is wrong with a file's tables, a clause each."""
    found = [f"{_shown(key)} is not known{_near(key, _KEYS)}" for key in given if key not in _KEYS]
    for key, choices in _CHOICES.items():
        if key in given and given[key] not in choices:
            found.append(f"{key} must be {' or '.join(map(repr, choices))}{_near(given[key], choices)}")
    if "done" in given:
        found += _of_done(given["done"])
    for name, (known, needed) in ENVELOPES.items():
        if name in given:
            found += _of_envelope(name, given[name], known, needed)
    return found


def _of_done(done: object) -> list[str]:
    if not isinstance(done, str) or not _MEMBER.fullmatch(done):
        return ["done must be a name of at most 60 ASCII letters, digits and underscores"]
    if done in _TAKEN:
        return [f"done cannot be {done!r}, the name of another member"]
    return []


def _of_envelope(name: str, table: object, known: frozenset[str], needed: frozenset[str]) -> list[str]:
    if not isinstance(table, dict):
        return [f"{name} must be a table"]
    found = _of_template(name, table, 1)
    places = places_of(table)
    for place in sorted(set(places) - known):
        near = _near(f"${place}", [f"${one}" for one in known])
        found.append(f"{name} has no {_shown('$' + place)}{near}")
    found += [f"{name} needs '${place}'" for place in sorted(needed - set(places))]
    found += [f"{name} has '${place}' twice" for place in sorted(known) if places.count(place) > 1]
    return found


def _of_template(where: str, value: object, depth: int) -> list[str]:
    """What JSON has no value for, what would be read as a place but is a key, and what is too deep."""
    if depth > MAX_DEPTH:
        return [f"{where} is nested deeper than {MAX_DEPTH} levels"]
    if isinstance(value, dict):
        found = [
            f"{where}: {_shown(key)} is a key, and cannot begin with $" for key in value if key[:1] == "$"
        ]
        for key, inner in value.items():
            found += _of_template(f"{where}.{_shown(key, bare=True)}", inner, depth + 1)
        return found
    if isinstance(value, list):
        return [problem for inner in value for problem in _of_template(where, inner, depth + 1)]
    if not isinstance(value, str | int | float) or value in (float("inf"), float("-inf")) or value != value:
        return [f"{where} must be text, a finite number, true or false"]
    return []


def _near(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _shown(name: str, *, bare: bool = False) -> str:
    """A key of the file, cut to what a person can read and without line breaks."""
    text = name if len(name) <= 40 else f"{name[:40]}…"
    return text if bare and text.isprintable() else repr(text)
