"""What the builds are asked to do through the whole path, as raw requests, and which answers are right.

Task: T-032 · Spec: plan.md#yardstick
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from todo_bench.builds import ORIGIN
from todo_bench.data import TASKS_PER_USER, task_id, user_id
from todo_bench.load import Bounds

PAGE = 20
CREATED = {
    "title": "Task 100: call the plumber and ask for a date",
    "description": "Ask about the price, too, and whether the boiler can wait until spring. Note 10000",
    "priority": "high",
    "tags": ["home", "phone"],
    "due_date": "2031-05-01T12:00:00Z",
}
TOLERANCE = 0.15
"""How far an answer's length may lie from the length of the one that was looked at: a task that is completed
has a time more, a new one no category. What went wrong is shorter than that by far.
"""


class WrongAnswer(Exception):
    """A build does not do the work: the sentence says what it answered instead."""


@dataclass(frozen=True)
class Asked:
    """One request, by whom, and the status and number of tasks that its answer has to have."""

    method: str
    target: str
    user: int
    status: int = 200
    tasks: int = 1
    body: bytes = b""

    def raw(self, token: str) -> bytes:
        """The request as it goes over the wire (RFC 9112 §3)."""
        headers = {"Host": "localhost", "Origin": ORIGIN, "Authorization": f"Bearer {token}"}
        if self.body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        elif self.method != "GET":
            headers |= {"Content-Length": "0"}
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Work:
    """A piece of work: its requests, in their order, for a number of users. `writes`: it changes rows."""

    name: str
    title: str
    requests: Callable[[int], Sequence[Asked]]
    writes: bool = False


def lists(users: int) -> list[Asked]:
    """The newest 20 tasks of each user."""
    return [Asked("GET", f"/api/tasks?limit={PAGE}", user, tasks=PAGE) for user in _numbers(users)]


def creations(users: int) -> list[Asked]:
    """A new task for each user."""
    body = json.dumps(CREATED).encode()
    return [Asked("POST", "/api/tasks", user, status=201, body=body) for user in _numbers(users)]


def readings(users: int) -> list[Asked]:
    """Each of the newest 20 tasks of each user, alone."""
    return [
        Asked("GET", f"/api/tasks/{task_id(user, number)}", user)
        for number in _newest()
        for user in _numbers(users)
    ]


def completions(users: int) -> list[Asked]:
    """Toggles each of the newest 20 tasks of each user."""
    return [
        Asked("PATCH", f"/api/tasks/{task_id(user, number)}/complete", user)
        for number in _newest()
        for user in _numbers(users)
    ]


def mixture(users: int) -> list[Asked]:
    """80 % reads (three lists to one task), 20 % writes (as many creations as completions), shuffled the same
    way in every run.
    """
    one, done = readings(users)[: 2 * users], completions(users)[:users]
    mixed = [*lists(users) * 6, *one, *creations(users), *done]
    random.Random(0).shuffle(mixed)
    return mixed


LIST = Work("list", f"list {PAGE} of {TASKS_PER_USER}", lists)
MIX = Work("mix", "80 % reads, 20 % writes", mixture, writes=True)
WHOLE_PATH = (
    LIST,
    Work("create", "create", creations, writes=True),
    Work("read", "read one", readings),
    Work("complete", "complete", completions, writes=True),
    MIX,
)


def prove(port: int, requests: Sequence[Asked], tokens: Sequence[str]) -> Bounds:
    """Send one request of each kind, look at the whole answer, and return what the others may be like.
    `tokens`: of the users 1, 2, …; a forged one is sent, too.

    Raises `WrongAnswer`.
    """
    prove_verifying(port, requests[0], tokens)
    lengths: dict[int, list[int]] = {}
    kinds = {(asked.method, asked.target.count("/"), asked.status): asked for asked in requests}
    for asked in kinds.values():
        status, body = _send(port, asked, tokens[asked.user - 1])
        what = f"{asked.method} {asked.target}"
        if status != asked.status:
            raise WrongAnswer(f"{what} answered {status}: {body[:200].decode(errors='replace')}")
        _check_tasks(what, body, asked)
        lengths.setdefault(status, []).append(len(body))
    return {
        status: (int(min(found) * (1 - TOLERANCE)), int(max(found) * (1 + TOLERANCE)))
        for status, found in lengths.items()
    }


def prove_verifying(port: int, asked: Asked, tokens: Sequence[str]) -> None:
    """Send a token under another one's signature: who does not refuse it saves the work that is measured.

    Raises `WrongAnswer`.
    """
    forged = f"{tokens[0].rpartition('.')[0]}.{tokens[1].rpartition('.')[2]}"
    status, _ = _send(port, asked, forged)
    if status != 401:
        raise WrongAnswer(f"{asked.method} {asked.target} answered {status} to a forged token")


def _check_tasks(what: str, body: bytes, asked: Asked) -> None:
    try:
        document = json.loads(body)
        tasks = document if isinstance(document, list) else [document]
        owners = {task["user_id"] for task in tasks}
    except (ValueError, KeyError, TypeError):
        raise WrongAnswer(f"{what} answered no tasks: {body[:200].decode(errors='replace')}") from None
    if len(tasks) != asked.tasks or owners != {user_id(asked.user)}:
        raise WrongAnswer(f"{what} answered {len(tasks)} tasks of {', '.join(sorted(map(str, owners)))}")


def _send(port: int, asked: Asked, token: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Origin": ORIGIN}
    if asked.body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(asked.method, asked.target, asked.body or None, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        raise WrongAnswer(f"{asked.method} {asked.target} was not answered: {error}") from error
    finally:
        connection.close()


def _numbers(users: int) -> range:
    return range(1, users + 1)


def _newest() -> range:
    return range(TASKS_PER_USER - PAGE, TASKS_PER_USER)
