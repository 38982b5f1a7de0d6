"""Whatever three users do, in any order, the service answers as a small model of it does."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from httpx import ASGITransport, AsyncClient, Response

from todo_auth.identity import IdentityMinter
from todo_tasks.app import create_app
from todo_tasks.settings import TasksSettings

HISTORIES = int(os.environ.get("TASKS_HISTORIES", "20"))
STEPS = int(os.environ.get("TASKS_HISTORY_STEPS", "30"))

USERS = ("ada", "bob", "eve")
TITLES = ["milk", "Milk", "call Éva", "100%"]
NOWHERE = "01a20e5d-d6bc-7550-8af4-da3e8cca6a93"

users = st.sampled_from(USERS)
titles = st.sampled_from(TITLES)
categories = st.sampled_from([None, "Home", "HOME", "Straße"])

T = TypeVar("T")


class Service:
    """The real application on a real database, called without an event loop of the caller's."""

    def __init__(self, settings: TasksSettings) -> None:
        self._runner = asyncio.Runner()
        self._app = create_app(settings)
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._run(self._lifespan.__aenter__())
        self._minter = IdentityMinter(settings.identity_secret)
        self._client = AsyncClient(transport=ASGITransport(self._app), base_url="http://tasks")

    def close(self) -> None:
        self._run(self._client.aclose())
        self._run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def send(self, user: str, method: str, path: str, json: object = None, **headers: str) -> Response:
        identity = {"X-User-Id": user, "Txn-Token": self._minter.mint(user), "X-Request-Id": "same"}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._run(self._client.request(method, path, json=json, headers=identity | more))

    def _run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(doing)


def machine(service: Service) -> type[RuleBasedStateMachine]:
    class Histories(RuleBasedStateMachine):
        """The model: each user's tasks by id, those in the trash apart, and the answers to keyed requests."""

        tasks = Bundle("tasks")
        count = 0

        @initialize()
        def begin(self) -> None:
            Histories.count += 1
            self.names = {user: f"{user} {Histories.count}".replace(" ", "-") for user in USERS}
            self.live: dict[str, dict[str, dict[str, Any]]] = {user: {} for user in USERS}
            self.trash: dict[str, dict[str, dict[str, Any]]] = {user: {} for user in USERS}
            self.keyed: dict[tuple[str, str], tuple[object, bytes]] = {}

        def send(self, user: str, method: str, path: str, json: object = None, **headers: str) -> Response:
            return service.send(self.names[user], method, path, json, **headers)

        def expect_missing(self, response: Response, method: str, path: str, json: object) -> None:
            """The same bytes as for an id that nobody has."""
            nowhere = self.send("eve", method, path, json)
            assert (response.status_code, response.content) == (404, nowhere.content)

        def changed(self, user: str, id_: str, response: Response, **members: object) -> None:
            before, after = self.live[user][id_], response.json()
            assert response.status_code == 200
            expected = before | members
            if expected != before:
                assert after["version"] == before["version"] + 1
                assert after["updated_at"] >= before["updated_at"]
                moving = {name: after[name] for name in ("version", "updated_at", "completed_at")}
                expected |= moving
            assert after == expected
            assert response.headers["etag"] == f'"{after["version"]}"'
            self.live[user][id_] = after

        @rule(target=tasks, user=users, title=titles, category=categories)
        def create(self, user: str, title: str, category: str | None) -> str:
            response = self.send(user, "POST", "/api/tasks", {"title": title, "category": category})
            assert response.status_code == 201
            task: dict[str, Any] = response.json()
            assert (task["title"], task["user_id"], task["version"]) == (title, self.names[user], 1)
            assert (task["category"] or "").casefold() == (category or "").casefold()
            self.live[user][task["id"]] = task
            return str(task["id"])

        @rule(target=tasks, user=users, title=titles, key=st.sampled_from(["k1", "k2"]))
        def create_once(self, user: str, title: str, key: str) -> str:
            response = self.send(user, "POST", "/api/tasks", {"title": title}, idempotency_key=key)
            kept = self.keyed.get((user, key))
            if kept is not None and kept[0] != title:
                assert response.status_code == 422
                return NOWHERE
            assert response.status_code == 201
            task: dict[str, Any] = response.json()
            if kept is not None:
                assert response.content == kept[1]
            else:
                self.keyed[user, key] = title, response.content
                self.live[user][task["id"]] = task
            return str(task["id"])

        @rule(user=users, id_=tasks, title=titles, method=st.sampled_from(["PUT", "PATCH"]))
        def rename(self, user: str, id_: str, title: str, method: str) -> None:
            response = self.send(user, method, f"/api/tasks/{id_}", {"title": title})
            if id_ in self.live[user]:
                self.changed(user, id_, response, title=title)
            else:
                self.expect_missing(response, method, f"/api/tasks/{NOWHERE}", {"title": title})

        @rule(user=users, id_=tasks, version=st.integers(1, 4), title=titles)
        def rename_a_version(self, user: str, id_: str, version: int, title: str) -> None:
            path, body = f"/api/tasks/{id_}", {"title": title}
            response = self.send(user, "PATCH", path, body, if_match=f'"{version}"')
            if id_ not in self.live[user]:
                self.expect_missing(response, "PATCH", f"/api/tasks/{NOWHERE}", body)
            elif self.live[user][id_]["version"] != version:
                assert response.status_code == 412
            else:
                self.changed(user, id_, response, title=title)

        @rule(
            user=users,
            id_=tasks,
            method=st.sampled_from(["POST", "PATCH"]),
            to=st.sampled_from([None, True, False]),
        )
        def complete(self, user: str, id_: str, method: str, to: bool | None) -> None:
            body = None if to is None else {"completed": to}
            response = self.send(user, method, f"/api/tasks/{id_}/complete", body)
            if id_ in self.live[user]:
                completed = not self.live[user][id_]["completed"] if to is None else to
                status = "completed" if completed else "pending"
                self.changed(user, id_, response, completed=completed, status=status)
                assert (self.live[user][id_]["completed_at"] is not None) is completed
            else:
                self.expect_missing(response, method, f"/api/tasks/{NOWHERE}/complete", body)

        @rule(user=users, id_=tasks)
        def delete(self, user: str, id_: str) -> None:
            response = self.send(user, "DELETE", f"/api/tasks/{id_}")
            if id_ in self.live[user]:
                assert response.status_code == 204
                self.trash[user][id_] = self.live[user].pop(id_)
            else:
                self.expect_missing(response, "DELETE", f"/api/tasks/{NOWHERE}", None)

        @rule(user=users, id_=tasks)
        def restore(self, user: str, id_: str) -> None:
            response = self.send(user, "POST", f"/api/tasks/{id_}/restore")
            if id_ in self.trash[user]:
                before, after = self.trash[user].pop(id_), response.json()
                assert after["version"] == before["version"] + 2
                moving = {name: after[name] for name in ("version", "updated_at")}
                assert after == before | moving
                self.live[user][id_] = after
            elif id_ in self.live[user]:
                assert response.status_code == 409
            else:
                self.expect_missing(response, "POST", f"/api/tasks/{NOWHERE}/restore", None)

        @rule(user=users, id_=tasks)
        def read(self, user: str, id_: str) -> None:
            response = self.send(user, "GET", f"/api/tasks/{id_}")
            if id_ in self.live[user]:
                assert response.json() == self.live[user][id_]
            else:
                self.expect_missing(response, "GET", f"/api/tasks/{NOWHERE}", None)

        @rule(user=users, word=st.sampled_from(["MILK", "éva", "%", "call 100"]))
        def search(self, user: str, word: str) -> None:
            found = self.send(user, "GET", f"/api/tasks?q={word.replace('%', '%25')}").json()
            words = word.casefold().split()
            expected = {
                id_
                for id_, task in self.live[user].items()
                if all(part in task["title"].casefold() for part in words)
            }
            assert {task["id"] for task in found} == expected

        @invariant()
        def every_list_is_the_models(self) -> None:
            for user in USERS:
                listed = self.send(user, "GET", "/api/tasks?sort=createdAt&order=asc").json()
                assert {task["id"]: task for task in listed} == self.live[user]
                trashed = self.send(user, "GET", "/api/tasks?deleted=true").json()
                assert {task["id"] for task in trashed} == set(self.trash[user])

    return Histories


@pytest.mark.timeout(3600)
def test_every_history_is_as_the_model_has_it(url: str, settings_of: Callable[..., TasksSettings]) -> None:
    service = Service(settings_of(url))
    try:
        run_state_machine_as_test(
            machine(service),
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        service.close()
