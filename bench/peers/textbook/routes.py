"""The routes, for whichever way the user is known."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from database import SessionDep
from fastapi import APIRouter, Depends, HTTPException, Query
from models import Task, TaskCreate, TaskPublic, now
from sqlalchemy.orm import joinedload
from sqlmodel import col, desc, select


def make_router(current_user: Callable[..., Any]) -> APIRouter:
    router = APIRouter(prefix="/api/tasks")
    CurrentUser = Annotated[str, Depends(current_user)]

    def get_task(id: UUID, session: SessionDep, user_id: CurrentUser) -> Task:
        task = session.get(Task, id, options=[joinedload(Task.category)])  # type: ignore[arg-type]
        if task is None or task.user_id != user_id:
            raise HTTPException(404, "Task not found")
        return task

    OwnTask = Annotated[Task, Depends(get_task)]

    @router.get("", response_model=list[TaskPublic])
    def list_tasks(
        session: SessionDep,
        user_id: CurrentUser,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Any:
        statement = (
            select(Task)
            .where(col(Task.user_id) == user_id)
            .options(joinedload(Task.category))  # type: ignore[arg-type]
            .order_by(desc(Task.created_at))
            .offset(offset)
            .limit(limit)
        )
        return session.exec(statement).all()

    @router.post("", response_model=TaskPublic, status_code=201)
    def create_task(new: TaskCreate, session: SessionDep, user_id: CurrentUser) -> Any:
        task = Task.model_validate(new, update={"user_id": user_id})
        session.add(task)
        session.commit()
        session.refresh(task)
        return task

    @router.get("/{id}", response_model=TaskPublic)
    def read_task(task: OwnTask) -> Any:
        return task

    @router.patch("/{id}/complete", response_model=TaskPublic)
    def complete_task(task: OwnTask, session: SessionDep) -> Any:
        task.completed = not task.completed
        task.status = "completed" if task.completed else "pending"
        task.completed_at = now() if task.completed else None
        task.updated_at = now()
        task.version += 1
        session.add(task)
        session.commit()
        session.refresh(task)
        return task

    return router
