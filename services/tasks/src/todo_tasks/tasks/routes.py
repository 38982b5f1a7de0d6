"""The routes under `/api/tasks`, and `/api/stats`.

Task: T-020 · Spec: plan.md#tasks-api
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from todo_auth.fastapi import CurrentUser
from todo_tasks import inputs, paging
from todo_tasks.database import DatabaseDep, Rows
from todo_tasks.inputs import RowId, describe
from todo_tasks.lean import LeanRoute
from todo_tasks.paging import Cursor
from todo_tasks.tasks import statements, values
from todo_tasks.tasks.schemas import Completion, StatsPublic, TaskCreate, TaskPublic, TaskQuery, TaskUpdate
from todo_tasks.tasks.sorting import SORTS
from todo_tasks.tasks.statements import Change, Continues, Shape

router = APIRouter(tags=["tasks"], route_class=LeanRoute)

NewTask = Annotated[TaskCreate, Depends(inputs.body(TaskCreate))]
ChangedTask = Annotated[TaskUpdate, Depends(inputs.body(TaskUpdate))]
SentCompletion = Annotated[Completion | None, Depends(inputs.optional_body(Completion))]
ListQuery = Annotated[TaskQuery, Depends(inputs.query(TaskQuery))]


@router.get(
    "/api/tasks",
    responses={200: {"model": list[TaskPublic]}},
    openapi_extra=describe(query=TaskQuery),
)
async def list_tasks(
    request: Request, user: CurrentUser, database: DatabaseDep, query: ListQuery
) -> Response:
    """A page of the user's tasks, by default all of them (up to 1,000), newest first."""
    sort = SORTS[query.sort_by]
    descending = sort.descending if query.order is None else query.order == "desc"
    filters, parameters = values.of_query(query)
    continues: Continues | None = None
    if query.cursor:
        paging.refuse_both(query.cursor, query.offset)
        after = sort.position(Cursor.decode(query.cursor, query.sort_by, descending))
        parameters |= after
        continues = "from_value" if "after_value" in after else "from_null"
    shape = Shape(filters, query.sort_by, descending, continues, query.count)
    # One row more than the page shows: whether there is a next one.
    parameters |= {"user_id": user.user_id, "limit": query.limit + 1, "offset": query.offset}
    rows = await database.read(statements.list_(shape), parameters)
    return paging.answer(
        rows, query.limit, request.scope["query_string"], query.sort_by, descending, sort.wire
    )


@router.post(
    "/api/tasks",
    status_code=201,
    responses={201: {"model": TaskPublic}},
    openapi_extra=describe(body=TaskCreate),
)
async def create_task(user: CurrentUser, database: DatabaseDep, new: NewTask) -> Response:
    """A new task. A category that is given by its name is made where it is missing."""
    category, parameters = values.of_new(new, user.user_id)
    rows = await database.write(statements.create(category), parameters)
    return _task(rows, 201, {"Location": f"/api/tasks/{parameters['id']}"})


@router.get("/api/tasks/{id}", responses={200: {"model": TaskPublic}})
async def read_task(user: CurrentUser, database: DatabaseDep, id_: RowId) -> Response:
    """One of the user's tasks."""
    return _task(await database.read(statements.read(), {"user_id": user.user_id, "id": id_}))


@router.put(
    "/api/tasks/{id}", responses={200: {"model": TaskPublic}}, openapi_extra=describe(body=TaskUpdate)
)
@router.patch(
    "/api/tasks/{id}", responses={200: {"model": TaskPublic}}, openapi_extra=describe(body=TaskUpdate)
)
async def change_task(user: CurrentUser, database: DatabaseDep, id_: RowId, change: ChangedTask) -> Response:
    """Change the fields that are sent, and only those, with PUT, too: front ends send what they changed."""
    changes, parameters = values.of_change(change)
    parameters |= {"user_id": user.user_id, "id": id_}
    if not changes:
        return _task(await database.read(statements.read(), parameters))
    return _task(await database.write(statements.change(changes), parameters))


@router.delete("/api/tasks/{id}", status_code=204)
async def delete_task(user: CurrentUser, database: DatabaseDep, id_: RowId) -> Response:
    """Put a task into the trash."""
    parameters = {"user_id": user.user_id, "id": id_, "updated_at": datetime.now(UTC)}
    if not await database.write(statements.delete(), parameters):
        raise inputs.not_found()
    return Response(status_code=204)


@router.patch(
    "/api/tasks/{id}/complete",
    responses={200: {"model": TaskPublic}},
    openapi_extra=describe(body=Completion, required=False),
)
@router.post(
    "/api/tasks/{id}/complete",
    responses={200: {"model": TaskPublic}},
    openapi_extra=describe(body=Completion, required=False),
)
@router.patch(
    "/api/tasks/{id}/toggle",
    responses={200: {"model": TaskPublic}},
    openapi_extra=describe(body=Completion, required=False),
)
@router.post(
    "/api/tasks/{id}/toggle",
    responses={200: {"model": TaskPublic}},
    openapi_extra=describe(body=Completion, required=False),
)
async def complete_task(
    user: CurrentUser, database: DatabaseDep, id_: RowId, sent: SentCompletion
) -> Response:
    """Without a body, or without `completed` in it: the other of what the task was. With it: that."""
    completed = sent.completed if sent else None
    change: Change = "toggled" if completed is None else "completed"
    parameters = {"user_id": user.user_id, "id": id_, "completed": completed, "updated_at": datetime.now(UTC)}
    return _task(await database.write(statements.change(frozenset({change})), parameters))


@router.patch("/api/tasks/{id}/uncomplete", responses={200: {"model": TaskPublic}})
@router.post("/api/tasks/{id}/uncomplete", responses={200: {"model": TaskPublic}})
async def uncomplete_task(
    user: CurrentUser, database: DatabaseDep, id_: RowId, _: SentCompletion
) -> Response:
    """The task is not completed, however often this is sent."""
    parameters = {"user_id": user.user_id, "id": id_, "completed": False, "updated_at": datetime.now(UTC)}
    return _task(await database.write(statements.change(frozenset({"completed"})), parameters))


@router.get("/api/stats", responses={200: {"model": StatsPublic}})
async def read_stats(user: CurrentUser, database: DatabaseDep) -> Response:
    """Counts of the user's tasks, the trash left out."""
    parameters = {"user_id": user.user_id, "now": datetime.now(UTC)}
    rows = await database.read(statements.stats(), parameters)
    return Response(rows[0]["json"], media_type=inputs.JSON)


def _task(rows: Rows, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    if not rows:
        raise inputs.not_found()
    json, version = rows[0]
    # Strong (RFC 9110 §8.8.3): the version moves on with every change of the representation.
    return Response(json, status, {"ETag": f'"{version}"', **(headers or {})}, inputs.JSON)
