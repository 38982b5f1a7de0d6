"""The models of bodies and queries under a wire profile, made once at start.

Task: T-052 · Spec: plan.md#wire-profile
"""

from functools import partial
from types import new_class
from typing import Any

from pydantic import BaseModel, ConfigDict

from todo_tasks.categories.schemas import CategoryCreate, CategoryUpdate
from todo_tasks.inputs import Body, Query
from todo_tasks.profile import DONE, Profile
from todo_tasks.tasks.schemas import Completion, TaskCreate, TaskQuery, TaskUpdate

BODIES: tuple[type[Body], ...] = (TaskCreate, TaskUpdate, Completion, CategoryCreate, CategoryUpdate)

Models = dict[type[BaseModel], type[BaseModel]]


def of(profile: Profile) -> Models:
    """For each model that the profile changes, the one that takes its place: with the done field's name as
    another of `completed`, and without minding unknown members. Empty for the default.
    """
    made: Models = {}
    if profile.ignore_unknown:
        made |= {model: _like(model, model_config=ConfigDict(extra="ignore")) for model in BODIES}
    if profile.done not in (None, DONE):
        task_models: tuple[type[Body] | type[Query], ...] = (TaskCreate, TaskUpdate, Completion, TaskQuery)
        for model in task_models:
            more = {**model.other_names, str(profile.done): DONE}
            made[model] = _like(made.get(model, model), other_names=more)
    return made


def _like(model: type[BaseModel], **attributes: Any) -> type[BaseModel]:
    """A subclass of the same name and description."""
    described = {"__module__": model.__module__, "__doc__": model.__doc__, "__qualname__": model.__qualname__}
    made: type[BaseModel] = new_class(
        model.__name__, (model,), exec_body=partial(_fill, described | attributes)
    )
    return made


def _fill(attributes: dict[str, Any], namespace: dict[str, Any]) -> None:
    namespace.update(attributes)
