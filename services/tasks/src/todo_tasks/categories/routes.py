"""The routes under `/api/categories`.

Task: T-021 · Spec: plan.md#categories-and-stats
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlmodel import Session
from uuid6 import uuid7

from todo_auth.fastapi import CurrentUser
from todo_tasks import inputs, paging
from todo_tasks.categories import statements
from todo_tasks.categories.models import Category, name_key
from todo_tasks.categories.schemas import CategoryCreate, CategoryPublic, CategoryQuery, CategoryUpdate
from todo_tasks.database import DatabaseDep, SessionDep
from todo_tasks.inputs import RowId, describe
from todo_tasks.lean import LeanRoute
from todo_tasks.paging import Cursor

router = APIRouter(tags=["categories"], route_class=LeanRoute)

NewCategory = Annotated[CategoryCreate, Depends(inputs.body(CategoryCreate))]
ChangedCategory = Annotated[CategoryUpdate, Depends(inputs.body(CategoryUpdate))]
ListQuery = Annotated[CategoryQuery, Depends(inputs.query(CategoryQuery))]


@router.get(
    "/api/categories",
    responses={200: {"model": list[CategoryPublic]}},
    openapi_extra=describe(query=CategoryQuery),
)
async def list_categories(
    request: Request, user: CurrentUser, database: DatabaseDep, query: ListQuery
) -> Response:
    """A page of the user's categories, by default all of them (up to 1,000), by name."""
    parameters: dict[str, object] = {
        "user_id": user.user_id,
        "limit": query.limit + 1,
        "offset": query.offset,
    }
    if query.cursor:
        paging.refuse_both(query.cursor, query.offset)
        cursor = Cursor.decode(query.cursor, "name", descending=False)
        if not isinstance(cursor.value, str):
            paging.refuse_cursor()
        parameters |= {"after_key": name_key(cursor.value), "after_id": cursor.id}
    rows = await database.read(statements.list_(bool(query.cursor), query.count), parameters)
    return paging.answer(rows, query.limit, request.scope["query_string"], "name", False, "name")


@router.post(
    "/api/categories",
    status_code=201,
    responses={201: {"model": CategoryPublic}},
    openapi_extra=describe(body=CategoryCreate),
)
async def create_category(user: CurrentUser, database: DatabaseDep, new: NewCategory) -> Response:
    """A new category. 409 where the user has one of this name, without regard to case."""
    now = datetime.now(UTC)
    parameters = {
        "user_id": user.user_id,
        "id": uuid7(),
        "name": new.name,
        "name_key": name_key(new.name),
        "color": new.color,
        "created_at": now,
        "updated_at": now,
    }
    rows = await database.write(statements.create(), parameters)
    headers = {"Location": f"/api/categories/{parameters['id']}"}
    return Response(rows[0]["json"], 201, headers, inputs.JSON)


@router.get("/api/categories/{id}", responses={200: {"model": CategoryPublic}})
async def read_category(user: CurrentUser, database: DatabaseDep, id_: RowId) -> Response:
    """One of the user's categories."""
    rows = await database.read(statements.read(), {"user_id": user.user_id, "id": id_})
    if not rows:
        raise inputs.not_found()
    return Response(rows[0]["json"], media_type=inputs.JSON)


@router.put(
    "/api/categories/{id}",
    responses={200: {"model": CategoryPublic}},
    openapi_extra=describe(body=CategoryUpdate),
)
@router.patch(
    "/api/categories/{id}",
    responses={200: {"model": CategoryPublic}},
    openapi_extra=describe(body=CategoryUpdate),
)
def change_category(user: CurrentUser, session: SessionDep, id_: RowId, change: ChangedCategory) -> Response:
    """Change the fields that are sent. A new name is a change of the category's tasks, too."""
    category = _lock(session, user.user_id, id_)
    now = datetime.now(UTC)
    renamed = "name" in change.model_fields_set and change.name != category.name
    for name in change.model_fields_set:
        setattr(category, name, getattr(change, name))
    if renamed:
        category.name_key = name_key(change.name)
        session.execute(statements.touch_tasks(category, now))
    if session.is_modified(category):
        category.updated_at = now
    session.flush()
    this = {"user_id": user.user_id, "id": id_}
    json = session.execute(statements.select_json(), this).scalar_one()
    session.commit()
    return Response(json, media_type=inputs.JSON)


@router.delete("/api/categories/{id}", status_code=204)
def delete_category(user: CurrentUser, session: SessionDep, id_: RowId) -> Response:
    """Delete a category; its tasks stay, without it."""
    category = _lock(session, user.user_id, id_)
    session.execute(statements.detach_tasks(category, datetime.now(UTC)))
    session.delete(category)
    session.commit()
    return Response(status_code=204)


def _lock(session: Session, user_id: str, id_: UUID) -> Category:
    """The category, held against changes and against tasks that would begin to refer to it."""
    category = session.get(Category, (user_id, id_), with_for_update=True)
    if category is None:
        raise inputs.not_found()
    return category
