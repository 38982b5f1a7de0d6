"""The routes under `/api/categories`.

Task: T-021 · Spec: plan.md#categories-and-stats
"""

import json
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlmodel import Session
from uuid6 import uuid7

from todo_auth.fastapi import CurrentUser
from todo_tasks import inputs, paging
from todo_tasks.categories import statements
from todo_tasks.categories.models import Category
from todo_tasks.categories.schemas import CategoryCreate, CategoryPublic, CategoryQuery, CategoryUpdate
from todo_tasks.cursors import Cursor
from todo_tasks.database import DatabaseDep, SessionDep
from todo_tasks.describe import NOT_FOUND, describe
from todo_tasks.folding import fold
from todo_tasks.idempotency.requests import repeatable, write
from todo_tasks.inputs import RowId
from todo_tasks.lean import LeanRoute
from todo_tasks.profile import whole

router = APIRouter(tags=["categories"], route_class=LeanRoute)

NewCategory = Annotated[CategoryCreate, Depends(inputs.body(CategoryCreate))]
ChangedCategory = Annotated[CategoryUpdate, Depends(inputs.body(CategoryUpdate))]
ListQuery = Annotated[CategoryQuery, Depends(inputs.query(CategoryQuery))]


@router.get(
    "/api/categories",
    **describe(list[CategoryPublic], query=CategoryQuery),
)
async def list_categories(
    request: Request, user: CurrentUser, database: DatabaseDep, query: ListQuery
) -> Response:
    """A page of the user's categories, by default all of them (up to 1,000), by name."""
    parameters: dict[str, object] = {
        "user_id": user.user_id,
        "limit": query.limit + 1,
        "offset": query.start,
    }
    state = request.app.state
    keys, profile = state.cursor_keys, state.profile
    name = json.dumps([user.user_id, "categories"]).encode()
    if query.cursor:
        cursor = Cursor.decode(query.cursor, keys, name)
        parameters |= {"after_key": fold(str(cursor.value)), "after_id": cursor.id}
    envelope = profile.categories
    counted = query.count or (envelope is not None and envelope.counts)
    rows = await database.read(statements.list_(bool(query.cursor), counted, profile), parameters)
    return paging.answer(
        rows, paging.Place(query, request.scope["query_string"], keys, name, "name"), envelope
    )


@router.post(
    "/api/categories",
    **describe(CategoryPublic, 201, body=CategoryCreate, repeatable=True, errors=frozenset({409})),
)
async def create_category(
    request: Request, user: CurrentUser, database: DatabaseDep, new: NewCategory
) -> Response:
    """A new category. 409 where the user has one of this name, without regard to case."""
    once = repeatable(request, user.user_id, new)
    now = datetime.now(UTC)
    parameters: dict[str, object] = {
        "user_id": user.user_id,
        "id": uuid7(),
        "name": new.name,
        "name_key": fold(new.name),
        "color": new.color,
        "created_at": now,
        "updated_at": now,
    }
    profile = request.app.state.profile
    rows = await write(database, statements.create(once is not None, profile), parameters, once)
    id_ = rows[0]["id"] if once else parameters["id"]
    headers = {"Location": f"/api/categories/{id_}"}
    return Response(whole(rows[0]["json"], profile.category), 201, headers, inputs.JSON)


@router.get("/api/categories/{id}", **describe(CategoryPublic, errors=NOT_FOUND))
async def read_category(request: Request, user: CurrentUser, database: DatabaseDep, id_: RowId) -> Response:
    """One of the user's categories."""
    profile = request.app.state.profile
    rows = await database.read(statements.read(profile), {"user_id": user.user_id, "id": id_})
    if not rows:
        raise inputs.not_found()
    return Response(whole(rows[0]["json"], profile.category), media_type=inputs.JSON)


@router.put(
    "/api/categories/{id}",
    **describe(CategoryPublic, body=CategoryUpdate, errors=NOT_FOUND | {409}),
)
@router.patch(
    "/api/categories/{id}",
    **describe(CategoryPublic, body=CategoryUpdate, errors=NOT_FOUND | {409}),
)
def change_category(
    request: Request, user: CurrentUser, session: SessionDep, id_: RowId, change: ChangedCategory
) -> Response:
    """Change the fields that are sent. A new name is a change of the category's tasks, too."""
    category = _lock(session, user.user_id, id_)
    now = datetime.now(UTC)
    renamed = "name" in change.model_fields_set and change.name != category.name
    for name in change.model_fields_set:
        setattr(category, name, getattr(change, name))
    if renamed:
        category.name_key = fold(change.name)
        session.execute(statements.touch_tasks(category, now))
    if session.is_modified(category):
        category.updated_at = now
    session.flush()
    this = {"user_id": user.user_id, "id": id_}
    profile = request.app.state.profile
    answer = session.execute(statements.select_json(profile), this).scalar_one()
    session.commit()
    return Response(whole(answer, profile.category), media_type=inputs.JSON)


@router.delete("/api/categories/{id}", **describe(None, 204, errors=NOT_FOUND))
def delete_category(request: Request, user: CurrentUser, session: SessionDep, id_: RowId) -> Response:
    """Delete a category; its tasks stay, without it."""
    category = _lock(session, user.user_id, id_)
    session.execute(statements.detach_tasks(category, datetime.now(UTC)))
    session.delete(category)
    session.commit()
    return paging.deleted(id_, request.app.state.profile)


def _lock(session: Session, user_id: str, id_: UUID) -> Category:
    """The category, held against changes and against tasks that would begin to refer to it."""
    category = session.get(Category, (user_id, id_), with_for_update=True)
    if category is None:
        raise inputs.not_found()
    return category
