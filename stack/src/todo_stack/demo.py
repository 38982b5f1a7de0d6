"""One user's walk from sign-up to delete, through the public addresses only.

Task: T-005 · Spec: plan.md#demo
"""

import secrets

from todo_stack.accounts import Accounts
from todo_stack.calls import Answer, call
from todo_stack.errors import StackError
from todo_stack.terminal import Terminal


async def walk(gateway_url: str, endpoints: str, terminal: Terminal) -> None:
    """Walk a new user of the issuer at `endpoints` through the API.

    Raises `StackError` at the first answer that is wrong or missing.
    """
    accounts = Accounts(endpoints)
    email = f"demo-{secrets.token_hex(6)}@example.com"
    with terminal.step(f"sign up {email}"):
        session = await accounts.sign_up(email, secrets.token_urlsafe(16), "Demo")
        if session is None:
            raise StackError("The demo failed: the issuer says that the new user exists already.")
    with terminal.step("get a token"):
        token = await accounts.token(session)
    tasks = f"{gateway_url}/api/tasks"
    with terminal.step("create a task"):
        body = {"title": "Water the plants", "priority": "high"}
        created = _object(await call("POST", tasks, body, token), 201)
        _require(created["title"] == "Water the plants", "the new task has another title")
        task = f"{tasks}/{created['id']}"
    with terminal.step("list the tasks"):
        listed = await call("GET", tasks, token=token)
        _require(listed.status == 200, f"the list is answered with {listed.status}")
        _require(listed.json() == [created], "the list is not the new task alone")
    with terminal.step("complete it"):
        completed = _object(await call("PATCH", f"{task}/complete", {"completed": True}, token), 200)
        _require(completed["completed"] is True, "the task is not completed")
    with terminal.step("edit it"):
        edited = _object(await call("PATCH", task, {"title": "Water all the plants"}, token), 200)
        _require(edited["title"] == "Water all the plants", "the edit is not in the answer")
        read = _object(await call("GET", task, token=token), 200)
        _require(read == edited, "the task that is read is not the edited one")
    with terminal.step("delete it"):
        deleted = await call("DELETE", task, token=token)
        _require(deleted.status == 204, f"DELETE is answered with {deleted.status}")
        gone = await call("GET", task, token=token)
        _require(gone.status == 404, "the deleted task is still there")
    with terminal.step("no token, no tasks"):
        stranger = await call("GET", tasks)
        _require(stranger.status == 401, f"a request without a token is answered with {stranger.status}")


def _object(answer: Answer, status: int) -> dict[str, object]:
    _require(answer.status == status, f"{status} was due and {answer.status} came: {answer.text[:300]}")
    document = answer.json()
    if not isinstance(document, dict):
        raise StackError(f"The demo failed: an answer is no object: {answer.text[:300]}")
    return document


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StackError(f"The demo failed: {otherwise}.")
