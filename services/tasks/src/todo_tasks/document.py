"""The OpenAPI document under a wire profile: members' names, envelopes, and what a DELETE answers.

Task: T-052 · Spec: plan.md#wire-profile
"""

from collections.abc import Mapping
from typing import Any

from todo_tasks.inputs import JSON
from todo_tasks.profile import MAY_BE_EMPTY, Envelope, Profile

Schema = dict[str, Any]

_OF_TASKS = frozenset({"TaskPublic", "TaskCreate", "TaskUpdate", "Completion"})
_OF_OTHERS = frozenset({"CategoryPublic", "CategoryCreate", "CategoryUpdate", "CategoryCount", "StatsPublic"})
_WITH_TEXTS = frozenset({"TaskPublic", "CategoryPublic"})
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_PLACES: Mapping[str, Schema] = {
    "total": _WHOLE,
    "limit": _WHOLE,
    "pages": _WHOLE,
    "offset": {"anyOf": [_WHOLE, {"type": "null"}]},
    "page": {"anyOf": [_WHOLE, {"type": "null"}]},
    "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "id": {"type": "string", "format": "uuid"},
}


def follow(document: Schema, profile: Profile) -> None:
    """Change the default's document, in place, to what answers and bodies are under `profile`."""
    for name, schema in document["components"]["schemas"].items():
        if name in _OF_TASKS | _OF_OTHERS:
            _name(schema, profile, of_task=name in _OF_TASKS)
            if profile.empty_text and name in _WITH_TEXTS:
                _without_null(schema, profile)
            if profile.ignore_unknown:
                schema.pop("additionalProperties", None)
    for path in document["paths"].values():
        for method, operation in path.items():
            _answers(operation, profile)
            if method == "delete" and profile.deleted is not None:
                del operation["responses"]["204"]
                operation["responses"]["200"] = _answer(around(profile.deleted, {}))
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "query":
                    parameter["name"] = profile.name(parameter["name"], of_task=True)


def around(envelope: Envelope, inner: Mapping[str, Schema]) -> Schema:
    """The schema of an envelope. `inner`: the schemas of what is put into it."""
    return _of_template(envelope.template, {**_PLACES, **inner})


def _of_template(template: object, places: Mapping[str, Schema]) -> Schema:
    if isinstance(template, str) and template.startswith("$"):
        return places[template[1:]]
    if isinstance(template, Mapping):
        properties = {name: _of_template(value, places) for name, value in template.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    if isinstance(template, list):
        items = [_of_template(value, places) for value in template]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    return {"const": template}


def _answers(operation: Schema, profile: Profile) -> None:
    lists = {"TaskPublic": profile.tasks, "CategoryPublic": profile.categories}
    ones = {"TaskPublic": profile.task, "CategoryPublic": profile.category, "StatsPublic": profile.stats}
    for status in ("200", "201"):
        media = operation["responses"].get(status, {}).get("content", {}).get(JSON)
        if media is None:
            continue
        schema = media["schema"]
        is_list = schema.get("type") == "array"
        name = (schema["items"] if is_list else schema).get("$ref", "").rpartition("/")[2]
        envelope = (lists if is_list else ones).get(name)
        if envelope is not None:
            media["schema"] = around(envelope, {"items" if is_list else "item": schema})


def _answer(schema: Schema) -> Schema:
    return {"description": "Successful Response", "content": {JSON: {"schema": schema}}}


def _name(schema: Schema, profile: Profile, of_task: bool) -> None:
    members = schema["properties"].items()
    schema["properties"] = {profile.name(name, of_task=of_task): member for name, member in members}
    if "required" in schema:
        schema["required"] = [profile.name(name, of_task=of_task) for name in schema["required"]]


def _without_null(schema: Schema, profile: Profile) -> None:
    for name in MAY_BE_EMPTY:
        member = schema["properties"].get(profile.name(name))
        if member and "anyOf" in member:
            (text,) = (kind for kind in member.pop("anyOf") if kind != {"type": "null"})
            member |= text
