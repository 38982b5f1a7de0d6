"""From sign-up to a deleted task, over HTTP, through every container.

Task: T-057 · Spec: plan.md#end-to-end
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from todo_stack.compose import docker

pytestmark = pytest.mark.timeout(900)  # The first test waits for the images.


def test_a_task_lives_from_sign_up_to_its_end(stack: Any, sign_up: Callable[[], Any]) -> None:
    ada = sign_up()
    with httpx.Client(base_url=stack.gateway_url, headers=ada.headers, trust_env=False, timeout=60) as http:
        made = http.post("/api/tasks", json={"title": "Book the train", "category": "Travel"})
        assert made.status_code == 201, made.text
        path = made.headers["Location"]
        assert [task["title"] for task in http.get("/api/tasks").json()] == ["Book the train"]
        assert http.patch(path, json={"priority": "urgent"}).json()["priority"] == "urgent"
        assert http.post(f"{path}/complete", json={"completed": True}).json()["completed"] is True
        assert http.get("/api/stats").json()["completed"] == 1
        assert http.delete(path).status_code == 204
        assert http.get(path).status_code == 404
        assert http.get("/api/tasks").json() == []


def test_a_second_user_gets_nothing_of_the_first_through_the_containers(
    stack: Any, sign_up: Callable[[], Any]
) -> None:
    ada, grace = sign_up(), sign_up()
    with httpx.Client(base_url=stack.gateway_url, trust_env=False, timeout=60) as http:
        made = http.post("/api/tasks", json={"title": "Ada's"}, headers=ada.headers)
        task, path = made.json(), made.headers["Location"]
        assert http.get("/api/tasks", headers=grace.headers).json() == []
        for method, body in (("GET", None), ("PUT", {"title": "Grace's"}), ("DELETE", None)):
            assert http.request(method, path, json=body, headers=grace.headers).status_code == 404
        assert http.get(f"/api/{task['user_id']}/tasks", headers=grace.headers).status_code == 403
        assert http.get("/api/tasks").status_code == 401
        assert http.get(path, headers=ada.headers).json()["title"] == "Ada's"


def test_a_token_of_better_auths_next_key_is_taken_at_once_and_the_last_one_still_is(
    stack: Any, sign_up: Callable[[], Any], new_token: Callable[[str], str]
) -> None:
    ada = sign_up()
    rotate = """UPDATE jwks SET "expiresAt" = now() - interval '1 minute'"""
    postgres = stack.project.container("postgres")
    docker("exec", postgres, "psql", "--username=postgres", "--dbname=todo", f"--command={rotate}")
    token = new_token(ada.session)
    assert httpx.get(f"{stack.web_url}/api/auth/jwks", trust_env=False).json()["keys"][1:]
    assert _header(token) != _header(ada.token)
    for one in (token, ada.token):
        answer = httpx.get(
            f"{stack.gateway_url}/api/tasks", headers={"Authorization": f"Bearer {one}"}, trust_env=False
        )
        assert answer.status_code == 200, answer.text


def _header(token: str) -> str:
    """A token's header, where `kid` names the key."""
    return token.partition(".")[0]
