"""The walk notices each wrong answer of the parts that it walks through."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from todo_stack.demo import walk
from todo_stack.errors import StackError
from todo_stack.terminal import Terminal

FAULTS = {
    "sign-up refused": "The issuer answers sign-up with 403",
    "user exists": "exists already",
    "no token": "has no token",
    "create fails": "201 was due and 500 came",
    "other title": "another title",
    "empty list": "not the new task alone",
    "not completed": "not completed",
    "edit forgotten": "not the edited one",
    "delete fails": "DELETE is answered with 500",
    "still there": "still there",
    "open to all": "without a token is answered with 200",
    "cut off": "POST .*/api/tasks has no answer",
}


class Backend(BaseHTTPRequestHandler):
    """An issuer and a gateway in memory, with one `fault` of the table above."""

    fault: str | None = None
    tasks: dict[str, dict[str, object]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        task = self.tasks.get(self.path.rpartition("/")[2])
        if self.path == "/api/auth/token":
            self.answer(200, {} if self.fault == "no token" else {"token": "jwt"})
        elif "Authorization" not in self.headers and self.fault != "open to all":
            self.answer(401, {})
        elif self.path == "/api/tasks":
            self.answer(200, [] if self.fault == "empty list" else list(self.tasks.values()))
        else:
            self.answer(200 if task else 404, task or {})

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/api/auth/sign-up/email":
            refused = {"sign-up refused": (403, {}), "user exists": (422, {"code": "USER_ALREADY_EXISTS"})}
            self.answer(*refused.get(str(self.fault), (200, {"token": "session"})))
        elif self.fault == "cut off":
            self.close_connection = True
        elif self.fault == "create fails":
            self.answer(500, {})
        else:
            title = "Other" if self.fault == "other title" else body["title"]
            self.tasks["1"] = {"id": "1", "title": title, "completed": False}
            self.answer(201, self.tasks["1"])

    def do_PATCH(self) -> None:
        task = self.tasks["1"] | self.body()
        if self.fault == "not completed":
            task["completed"] = False
        if self.fault != "edit forgotten":
            self.tasks["1"] = task
        self.answer(200, task)

    def do_DELETE(self) -> None:
        if self.fault != "still there":
            self.tasks.clear()
        self.answer(500 if self.fault == "delete fails" else 204, None)

    def body(self) -> dict[str, object]:
        """The JSON object that was sent."""
        sent: dict[str, object] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return sent

    def answer(self, status: int, document: object) -> None:
        """Send a JSON answer."""
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def backend(fault: str | None) -> Iterator[str]:
    """The address of a running backend."""
    handler = type("FaultyBackend", (Backend,), {"fault": fault, "tasks": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_the_walk_passes_where_every_answer_is_right(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    with backend(None) as url:
        await walk(url, f"{url}/api/auth", terminal)
    steps = [line for line in capsys.readouterr().out.splitlines() if line.startswith("✓")]
    assert len(steps) == 8


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_wrong_answer_fails_the_walk(terminal: Terminal, fault: str) -> None:
    with backend(fault) as url:
        with pytest.raises(StackError, match=FAULTS[fault]):
            await walk(url, f"{url}/api/auth", terminal)
