"""What the OpenAPI document says of a route: its answers, and what it reads past the framework.

Task: T-020 · Spec: plan.md#tasks-api
"""

from typing import Any, Literal

from todo_tasks.inputs import JSON, Body, Query

_PROBLEMS = {
    400: "The body is missing or no JSON, or a header is not as it must be.",
    404: "There is nothing with this id, or it is not yours.",
    409: "It cannot be done as things are.",
    412: "The task is not of the version that If-Match or If-None-Match speaks of.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "What is sent is not valid; see errors.",
    428: "If-Match is needed here; only where the service is set to require it.",
}
NOT_FOUND = frozenset({404})
"""For routes with an id in their path."""

_IDEMPOTENCY_KEY = (
    "A POST with the same key and body is carried out once and answered the same, for a day at least."
)
_IF_MATCH = "The request is for these versions (ETag) of the task only."
_IF_NONE_MATCH = "The versions (ETag) of the task that the client has already."


def describe(
    answer: Any,
    status: int = 200,
    *,
    body: type[Body] | None = None,
    body_required: bool = True,
    query: type[Query] | None = None,
    conditional: Literal["read", "write"] | None = None,
    repeatable: bool = False,
    errors: frozenset[int] = frozenset(),
) -> dict[str, Any]:
    """Keyword arguments for a route's decorator.

    `answer`: the model of the answer with `status`, or None. `conditional`: it heeds preconditions.
    `repeatable`: it heeds `Idempotency-Key`. `errors`: what else it answers with.
    """
    succeeded: dict[str, Any] = {} if answer is None else {"model": answer}
    responses: dict[int | str, dict[str, Any]] = {status: succeeded}
    headers = []
    problems = set(errors)
    if body or query:
        problems |= {422}
    if body:
        problems |= {400, 413, 415}
    if conditional:
        problems |= {400, 412}
        headers.append(_header("If-Match", _IF_MATCH))
        headers.append(_header("If-None-Match", _IF_NONE_MATCH))
    if conditional == "read":
        responses[304] = {"description": "The client has this version already."}
    if conditional == "write":
        problems |= {428}
    if repeatable:
        problems |= {400, 409, 422}
        headers.append(_header("Idempotency-Key", _IDEMPOTENCY_KEY))
    for problem in sorted(problems):
        responses[problem] = _problem(problem)
    extra: dict[str, Any] = {}
    if body:
        schema = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
        extra["requestBody"] = {"required": body_required, "content": {JSON: schema}}
    if query or headers:
        extra["parameters"] = [*headers, *(_parameters(query) if query else [])]
    return {"status_code": status, "responses": responses, "openapi_extra": extra}


def without_defaults(schema: dict[str, Any]) -> None:
    """For a model's `json_schema_extra`: an update's defaults stand for nothing and are not shown."""
    for member in schema["properties"].values():
        member.pop("default", None)


def _problem(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"type": "object"}}}
    return {"description": _PROBLEMS[status], "content": content}


def _header(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _parameters(query: type[Query]) -> list[dict[str, Any]]:
    properties = query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]
