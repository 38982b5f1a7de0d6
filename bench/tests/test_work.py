"""What is asked, and which answers are taken for right ones.

Task: T-032 · Spec: plan.md#yardstick
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from todo_bench.data import user_id
from todo_bench.work import PAGE, WHOLE_PATH, Asked, Work, WrongAnswer, lists, mixture, prove

TOKENS = ["head.one.good", "head.two.other"]


class Service(ThreadingHTTPServer):
    """Answers every request alike, and a token that is not one of `TOKENS` with `to_forged`."""

    status = 200
    to_forged = 401
    document: object = []


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        good = self.headers["Authorization"].removeprefix("Bearer ") in TOKENS
        body = json.dumps(self.server.document).encode()
        self.send_response(self.server.status if good else self.server.to_forged)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that lists the tasks that are asked for."""
    service = Service(("127.0.0.1", 0), Handler)
    service.document = tasks(PAGE)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield service
    service.shutdown()
    service.server_close()
    thread.join()


def tasks(count: int, user: int = 1) -> list[dict[str, str]]:
    return [{"user_id": user_id(user), "title": "Task"}] * count


def test_a_right_answer_sets_the_bounds_for_the_others(service: Service) -> None:
    length = len(json.dumps(service.document))
    bounds = prove(service.server_port, lists(1), TOKENS)
    assert bounds.keys() == {200}
    assert bounds[200][0] < length < bounds[200][1]
    assert bounds[200][0] > length * 0.8


@pytest.mark.parametrize(
    ("status", "document", "reason"),
    [
        (500, {"detail": "broken"}, "answered 500.*broken"),
        (200, tasks(PAGE - 1), "answered 19 tasks"),
        (200, tasks(PAGE, user=2), f"20 tasks of {user_id(2)}"),
        (200, {"items": tasks(PAGE)}, "answered no tasks"),
        (200, [], "answered 0 tasks"),
    ],
    ids=["error", "too few", "another user's", "another shape", "none"],
)
def test_a_wrong_answer_is_refused(service: Service, status: int, document: object, reason: str) -> None:
    service.status, service.document = status, document
    with pytest.raises(WrongAnswer, match=reason):
        prove(service.server_port, lists(1), TOKENS)


def test_who_takes_a_forged_token_is_not_measured(service: Service) -> None:
    service.to_forged = 200
    with pytest.raises(WrongAnswer, match="200 to a forged token"):
        prove(service.server_port, lists(1), TOKENS)


def test_who_does_not_answer_is_refused(service: Service) -> None:
    service.server_close()
    with pytest.raises(WrongAnswer, match="was not answered"):
        prove(service.server_port, lists(1), TOKENS)


def test_the_mixture_has_four_reads_to_a_write_in_the_same_order_every_time() -> None:
    mixed = mixture(100)
    kinds = Counter(asked.method for asked in mixed)
    assert kinds["GET"] / len(mixed) == 0.8
    assert kinds["POST"] == kinds["PATCH"] == 100
    assert mixed == mixture(100)
    assert len({asked.method for asked in mixed[:20]}) > 1


def test_a_request_is_whole_on_the_wire() -> None:
    raw = Asked("POST", "/api/tasks", 1, status=201, body=b'{"title": "x"}').raw("token")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\n")
    assert b"\r\nAuthorization: Bearer token\r\n" in head
    assert b"\r\nContent-Length: 14" in head
    assert body == b'{"title": "x"}'
    assert b"Content-Length: 0" in Asked("PATCH", "/", 1).raw("token")
    assert b"Content-Length" not in Asked("GET", "/", 1).raw("token")


@pytest.mark.parametrize("work", WHOLE_PATH, ids=lambda work: work.name)
def test_what_changes_rows_says_so(work: Work) -> None:
    assert work.writes == any(asked.method != "GET" for asked in work.requests(10))
    assert {asked.user for asked in work.requests(10)} == set(range(1, 11))
