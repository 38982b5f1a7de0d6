"""One line a record."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
from todo_service import logs


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_carry_the_extra_fields_and_the_trace() -> None:
    stream = io.StringIO()
    logs.configure("INFO", as_json=True, stream=stream)
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        logging.getLogger("x").exception("it %s", "failed", extra={"request_id": "abc", "odd": {1}})
    logging.getLogger("x").debug("not shown")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["time"].endswith("Z")
    assert (record["level"], record["logger"], record["message"]) == ("error", "x", "it failed")
    assert (record["request_id"], record["odd"]) == ("abc", "{1}")
    assert "broken" in record["exception"]


def test_a_plain_line_cannot_be_forged_by_what_it_quotes() -> None:
    stream = io.StringIO()
    logs.configure("INFO", as_json=False, stream=stream)
    logging.getLogger("x").info(
        "path %s", "/a\n12:00:00 info    x: forged\x1b[2J", extra={"request_id": "abc"}
    )
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("[abc]")
    assert "\x1b" not in line


def test_uvicorns_own_access_lines_stay_off() -> None:
    stream = io.StringIO()
    logs.configure("INFO", as_json=True, stream=stream)
    logging.getLogger("uvicorn.access").info("GET /?q=private")
    assert not logging.getLogger("uvicorn.access").hasHandlers()
    assert stream.getvalue() == ""


def test_configuring_twice_writes_each_line_once() -> None:
    stream = io.StringIO()
    for _ in range(2):
        logs.configure("INFO", as_json=False, stream=stream)
    logging.getLogger("x").info("once")
    assert stream.getvalue().count("once") == 1


async def test_lines_of_a_loop_are_written_together_and_a_warning_at_once() -> None:
    stream = io.StringIO()
    logs.configure("INFO", as_json=False, stream=stream)
    log = logging.getLogger("x")
    for number in range(3):
        log.info("line %d", number)
    assert stream.getvalue() == ""
    log.warning("now")
    assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == [
        "line 0",
        "line 1",
        "line 2",
        "now",
    ]
    log.info("late")
    while "late" not in stream.getvalue():
        await asyncio.sleep(0.01)


async def test_what_waits_is_written_when_the_process_ends() -> None:
    stream = io.StringIO()
    logs.configure("INFO", as_json=False, stream=stream)
    logging.getLogger("x").info("last words")
    logging.shutdown()
    assert "last words" in stream.getvalue()
