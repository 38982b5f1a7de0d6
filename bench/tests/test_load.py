"""Putting load on: both generators against a real server, and what they print.

Task: T-032 · Spec: plan.md#yardstick
"""

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from todo_bench import load
from todo_bench.launch import Build, Launcher, Part, answers
from todo_bench.load import Generator, LoadError
from todo_stack.ports import free_port

REQUEST = b"GET /?limit=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
WRK = pytest.param("wrk", marks=pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed"))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a server that answers at once."""
    port = free_port()
    command = [sys.executable, "-m", "todo_bench.upstream", str(port)]
    build = Build("upstream", port, [Part("upstream", command, {}, answers(port, "/"))])
    with Launcher(tmp_path) as launcher, launcher.run(build):
        yield port


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Requests for answers of 100 and of 5,000 bytes, in turn."""
    file = tmp_path / "requests"
    load.write_requests(file, [REQUEST % 100, REQUEST % 5000])
    return file


@pytest.mark.parametrize("generator", [WRK, "bundled"])
def test_right_answers_are_counted(generator: Generator, port: int, requests: Path) -> None:
    found = load.run(generator, port, requests, {200: (100, 5000)}, connections=4, seconds=1)
    assert found.is_sound
    assert found.answers > 10
    assert found.seconds >= 0.9
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.cpu_s > 0


@pytest.mark.parametrize("generator", [WRK, "bundled"])
@pytest.mark.parametrize(
    "bounds", [{200: (101, 5000)}, {200: (100, 4999)}, {201: (100, 5000)}], ids=["short", "long", "status"]
)
def test_an_answer_of_another_length_or_status_is_wrong(
    generator: Generator, bounds: load.Bounds, port: int, requests: Path
) -> None:
    found = load.run(generator, port, requests, bounds, connections=4, seconds=1)
    assert not found.is_sound
    assert found.wrong >= (found.answers - 4) // 2
    assert found.wrong > 0


@pytest.mark.parametrize("generator", [WRK, "bundled"])
def test_a_port_where_nothing_listens_is_an_error(generator: Generator, requests: Path) -> None:
    with pytest.raises(LoadError, match=generator):
        load.run(generator, free_port(), requests, {200: (1, 2)}, connections=1, seconds=1)


@pytest.mark.parametrize("generator", [WRK, "bundled"])
def test_connections_that_break_are_failures(generator: Generator, requests: Path) -> None:
    code = (
        "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n c, _ = s.accept(); c.recv(1000); c.close()"
    )
    port = free_port()
    command = [sys.executable, "-c", code, str(port)]

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with Launcher(requests.parent) as launcher:
        with launcher.run(Build("closing", port, [Part("closing", command, {}, listens)])):
            found = load.run(generator, port, requests, {200: (1, 9)}, connections=1, seconds=1)
    assert found.failed > 0
    assert not found.is_sound


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [b"GET / HTTP/1.1\r\n\r\n", b"", b"POST / HTTP/1.1\r\n\r\n12\n34"]
    load.write_requests(tmp_path / "requests", written)
    assert load.read_requests(tmp_path / "requests") == written


def test_the_result_is_found_among_what_wrk_prints() -> None:
    output = (
        "Running 2s test @ http://127.0.0.1:8000\n  1 threads and 16 connections\n"
        "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.20ms  310us  9.1ms  88.10%\n"
        "  1234 requests in 2.00s, 10.1MB read\nRequests/sec:    617.00\n"
        '\nresult {"answers":1234,"microseconds":2000000,"p50_us":1200,"p99_us":9100,"wrong":0,"failed":1}\n'
    )
    found = load.parse(output, cpu_s=0.5)
    assert (found.answers, found.seconds, found.p50_ms, found.p99_ms) == (1234, 2.0, 1.2, 9.1)
    assert (found.wrong, found.failed, found.cpu_s) == (0, 1, 0.5)
    assert not found.is_sound


def test_output_without_a_result_is_an_error() -> None:
    with pytest.raises(LoadError, match="Segmentation"):
        load.parse("Segmentation fault", cpu_s=0.0)


def test_no_answer_at_all_is_not_sound() -> None:
    assert not load.Answers(0, 2.0, 0.0, 0.0, wrong=0, failed=0, cpu_s=0.1).is_sound
