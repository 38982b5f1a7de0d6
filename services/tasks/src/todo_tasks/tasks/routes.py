"""The routes under `/api/tasks`, and `/api/stats`.

Task: T-020 · Spec: plan.md#tasks-api
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, NoReturn
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from todo_auth.fastapi import CurrentUser
from todo_service.problems import Problem
from todo_tasks import inputs, paging, preconditions
from todo_tasks.cursors import Cursor
from todo_tasks.database import Database, DatabaseDep, Rows
from todo_tasks.describe import NOT_FOUND, describe
from todo_tasks.idempotency.requests import repeatable, write
from todo_tasks.inputs import RowId
from todo_tasks.lean import LeanRoute
from todo_tasks.profile import whole
from todo_tasks.preconditions import Preconditions, ReadPreconditions, WritePreconditions, etag
from todo_tasks.tasks import lists, statements, stats, trash, values
from todo_tasks.tasks.schemas import Completion, StatsPublic, TaskCreate, TaskPublic, TaskQuery, TaskUpdate
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.tasks.statements import Change

router = APIRouter(tags=["tasks"], route_class=LeanRoute)

NewTask = Annotated[TaskCreate, Depends(inputs.body(TaskCreate))]
ChangedTask = Annotated[TaskUpdate, Depends(inputs.body(TaskUpdate))]
SentCompletion = Annotated[Completion | None, Depends(inputs.optional_body(Completion))]
ListQuery = Annotated[TaskQuery, Depends(inputs.query(TaskQuery))]


@router.get("/api/tasks", **describe(list[TaskPublic], query=TaskQuery))
async def list_tasks(
    request: Request, user: CurrentUser, database: DatabaseDep, query: ListQuery
) -> Response:
    """A page of the user's tasks, by default all of them (up to 1,000), newest first."""
    state = request.app.state
    keys, profile = state.cursor_keys, state.profile
    shape, parameters, name = values.of_query(query, user.user_id)
    # One row more than the page shows: whether there is a next one.
    parameters |= {"user_id": user.user_id, "limit": query.limit + 1, "offset": query.start}
    sort = SORTS[shape.sort]
    if query.cursor:
        after = sort.position(Cursor.decode(query.cursor, keys, name))
        parameters |= after
        shape = shape.continued("from_value" if "after_value" in after else "from_null")
    envelope = profile.tasks
    if envelope is not None and envelope.counts:
        shape = replace(shape, counted=True)
    rows = await database.read(lists.list_(shape, profile), parameters)
    place = paging.Place(query, request.scope["query_string"], keys, name, profile.name(sort.wire))
    return paging.answer(rows, place, envelope)


@router.post("/api/tasks", **describe(TaskPublic, 201, body=TaskCreate, repeatable=True))
async def create_task(request: Request, user: CurrentUser, database: DatabaseDep, new: NewTask) -> Response:
    """A new task. A category that is given by its name is made where it is missing."""
    once = repeatable(request, user.user_id, new)
    category, parameters = values.of_new(new, user.user_id)
    rows = await write(
        database, statements.create(category, once is not None, request.app.state.profile), parameters, once
    )
    id_ = rows[0]["id"] if once else parameters["id"]
    return _task(request, rows, 201, {"Location": f"/api/tasks/{id_}"})


@router.get("/api/tasks/{id}", **describe(TaskPublic, conditional="read", errors=NOT_FOUND))
async def read_task(
    request: Request, user: CurrentUser, database: DatabaseDep, id_: RowId, conditions: ReadPreconditions
) -> Response:
    """One of the user's tasks."""
    statement = statements.read(request.app.state.profile)
    rows = await database.read(statement, {"user_id": user.user_id, "id": id_})
    if rows:
        version = rows[0]["version"]
        if not conditions.matches(version):
            raise preconditions.failed()
        if conditions.is_known(version):
            return Response(None, 304, {"ETag": etag(version)})
    return _task(request, rows)


@router.put("/api/tasks/{id}", **describe(TaskPublic, body=TaskUpdate, conditional="write", errors=NOT_FOUND))
@router.patch(
    "/api/tasks/{id}", **describe(TaskPublic, body=TaskUpdate, conditional="write", errors=NOT_FOUND)
)
async def change_task(
    request: Request,
    user: CurrentUser,
    database: DatabaseDep,
    id_: RowId,
    conditions: WritePreconditions,
    change: ChangedTask,
) -> Response:
    """Change the fields that are sent, and only those, with PUT, too: front ends send what they changed."""
    changes, parameters = values.of_change(change)
    return await _change(request, user.user_id, database, id_, conditions, changes, parameters)


@router.delete("/api/tasks/{id}", **describe(None, 204, conditional="write", errors=NOT_FOUND))
async def delete_task(
    request: Request, user: CurrentUser, database: DatabaseDep, id_: RowId, conditions: WritePreconditions
) -> Response:
    """Put a task into the trash."""
    parameters: dict[str, object] = {"user_id": user.user_id, "id": id_, "updated_at": datetime.now(UTC)}
    conditional = not conditions.are_none
    statement = trash.delete(conditional)
    if not await database.write(statement, parameters | conditions.parameters()):
        await _explain(database, user.user_id, id_, preconditions.failed() if conditional else None)
    return paging.deleted(id_, request.app.state.profile)


@router.post("/api/tasks/{id}/restore", **describe(TaskPublic, repeatable=True, errors=NOT_FOUND | {409}))
async def restore_task(request: Request, user: CurrentUser, database: DatabaseDep, id_: RowId) -> Response:
    """Take a task out of the trash. 409 where it is not in it."""
    once = repeatable(request, user.user_id, None)
    parameters: dict[str, object] = {"user_id": user.user_id, "id": id_, "updated_at": datetime.now(UTC)}
    rows = await write(database, trash.restore(once is not None, request.app.state.profile), parameters, once)
    if not rows:
        await _explain(database, user.user_id, id_, Problem(409, "The task is not in the trash."))
    return _task(request, rows)


_COMPLETION = describe(
    TaskPublic, body=Completion, body_required=False, conditional="write", errors=NOT_FOUND
)
_POSTED_COMPLETION = describe(
    TaskPublic, body=Completion, body_required=False, conditional="write", repeatable=True, errors=NOT_FOUND
)


@router.patch("/api/tasks/{id}/complete", **_COMPLETION)
@router.post("/api/tasks/{id}/complete", **_POSTED_COMPLETION)
@router.patch("/api/tasks/{id}/toggle", **_COMPLETION)
@router.post("/api/tasks/{id}/toggle", **_POSTED_COMPLETION)
async def complete_task(
    request: Request,
    user: CurrentUser,
    database: DatabaseDep,
    id_: RowId,
    conditions: WritePreconditions,
    sent: SentCompletion,
) -> Response:
    """Without a body, or without `completed` in it: the other of what the task was. With it: that."""
    completed = sent.completed if sent else None
    change: Change = "toggled" if completed is None else "completed"
    parameters: dict[str, object] = {"completed": completed, "updated_at": datetime.now(UTC)}
    return await _change(
        request, user.user_id, database, id_, conditions, frozenset({change}), parameters, sent
    )


@router.patch("/api/tasks/{id}/uncomplete", **_COMPLETION)
@router.post("/api/tasks/{id}/uncomplete", **_POSTED_COMPLETION)
async def uncomplete_task(
    request: Request,
    user: CurrentUser,
    database: DatabaseDep,
    id_: RowId,
    conditions: WritePreconditions,
    sent: SentCompletion,
) -> Response:
    """The task is not completed, however often this is sent."""
    parameters: dict[str, object] = {"completed": False, "updated_at": datetime.now(UTC)}
    return await _change(
        request, user.user_id, database, id_, conditions, frozenset({"completed"}), parameters, sent
    )


@router.get("/api/stats", **describe(StatsPublic))
async def read_stats(request: Request, user: CurrentUser, database: DatabaseDep) -> Response:
    """Counts of the user's tasks, the trash left out."""
    parameters = {"user_id": user.user_id, "now": datetime.now(UTC)}
    profile = request.app.state.profile
    rows = await database.read(stats.stats(profile), parameters)
    return Response(whole(rows[0]["json"], profile.stats), media_type=inputs.JSON)


async def _change(
    request: Request,
    user_id: str,
    database: Database,
    id_: UUID,
    conditions: Preconditions,
    changes: frozenset[Change],
    parameters: dict[str, object],
    sent: Completion | None = None,
) -> Response:
    """Carry out a change where the preconditions hold, and answer with the task."""
    once = repeatable(request, user_id, sent)
    parameters |= {"user_id": user_id, "id": id_}
    profile = request.app.state.profile
    if not changes:
        rows = await database.read(statements.read(profile), parameters)
        if rows and not conditions.hold(rows[0]["version"]):
            raise preconditions.failed()
        return _task(request, rows)
    conditional = not conditions.are_none
    statement = statements.change(changes, conditional, once is not None, profile)
    rows = await write(database, statement, parameters | conditions.parameters(), once)
    if not rows:
        await _explain(database, user_id, id_, preconditions.failed() if conditional else None)
    return _task(request, rows)


async def _explain(database: Database, user_id: str, id_: UUID, otherwise: Problem | None) -> NoReturn:
    """Say why a write found nothing to change: no such task, or `otherwise`."""
    if otherwise and await database.read(statements.read(), {"user_id": user_id, "id": id_}):
        raise otherwise
    raise inputs.not_found()


def _task(request: Request, rows: Rows, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    if not rows:
        raise inputs.not_found()
    json, version = rows[0]["json"], rows[0]["version"]
    content = whole(json, request.app.state.profile.task)
    return Response(content, status, {"ETag": etag(version), **(headers or {})}, inputs.JSON)
