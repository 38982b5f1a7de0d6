"""A real process: how it ends, and what its workers do."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

APPLICATION = """
import asyncio, os, pathlib
from todo_service.server import Drain, serve

def make():
    if pathlib.Path("broken").exists():
        raise SystemExit(7)
    return app

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path == "/die":
        os._exit(9)
    status = 503 if path == "/readyz" and scope["state"].get("draining") else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode(), "more_body": True})
    while path == "/for-ever" or (path == "/until-told" and not pathlib.Path("told").exists()):
        await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b".", "more_body": True})
    await send({"type": "http.response.body", "body": b""})

def main(port, workers, delay_s, timeout_s):
    serve("application:make", host="127.0.0.1", port=port, port_setting="PORT", workers=workers,
          drain=Drain(delay_s, timeout_s))
"""

Start = Callable[..., "Process"]


class Process:
    """The server as a process in a group of its own."""

    def __init__(self, folder: Path, port: int, workers: int, delay_s: float, timeout_s: float) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.popen = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import application as a; a.main({port}, {workers}, {delay_s}, {timeout_s})",
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            start_new_session=True,
        )

    def get(self, path: str = "/") -> httpx.Response:
        """One request on a connection of its own."""
        return httpx.get(self.url + path, timeout=30, trust_env=False)

    def until(self, path: str, status: int) -> httpx.Response:
        """Asks until `path` answers so."""
        while True:
            try:
                answer = self.get(path)
            except httpx.TransportError:
                assert self.popen.poll() is None, "it has ended"
                time.sleep(0.02)
                continue
            if answer.status_code == status:
                return answer

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def status(self) -> int:
        return self.popen.wait(timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "application.py").write_text(APPLICATION)
    started: list[Process] = []

    def begin(
        workers: int = 1,
        *,
        delay_s: float = 0,
        timeout_s: float = 30,
        port: int | None = None,
        serves: bool = True,
    ) -> Process:
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
        started.append(Process(tmp_path, port, workers, delay_s, timeout_s))
        if serves:
            started[-1].until("/", 200)
        return started[-1]

    yield begin
    for process in started:
        if process.popen.poll() is None:
            os.killpg(process.popen.pid, signal.SIGKILL)
            process.popen.wait()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_readiness_falls_first_and_every_answer_says_goodbye(workers: int, start: Start) -> None:
    process = start(workers, delay_s=60)
    assert process.get("/readyz").headers.get("connection") is None
    process.signal(signal.SIGTERM)
    process.until("/readyz", 503)
    for _ in range(5):
        answer = process.until("/", 200)
        assert process.popen.poll() is None
    while workers > 1 and "connection" not in answer.headers:
        answer = process.get()  # of the worker that hears it last
    assert answer.headers.get("connection") == "close"
    process.signal(signal.SIGTERM)
    assert process.status() == 0, "a second signal ends it at once"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_request_ends_before_the_process(workers: int, start: Start, tmp_path: Path) -> None:
    process = start(workers)
    with httpx.stream("GET", process.url + "/until-told", timeout=30, trust_env=False) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        # As a terminal does it, or whoever stops a group: every process gets the signal.
        os.killpg(process.popen.pid, signal.SIGTERM)
        next(chunks)
        (tmp_path / "told").touch()
        for _ in chunks:
            pass  # httpx raises where the end is missing
    assert process.status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_has_not_ended_at_the_bound_is_cut(workers: int, start: Start) -> None:
    process = start(workers, timeout_s=0.3)
    with httpx.stream("GET", process.url + "/for-ever", timeout=30, trust_env=False) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        process.signal(signal.SIGTERM)
        with pytest.raises(httpx.TransportError):
            for _ in chunks:
                pass
    assert process.status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_cuts_what_runs(workers: int, start: Start) -> None:
    process = start(workers, delay_s=60, timeout_s=60)
    with httpx.stream("GET", process.url + "/for-ever", timeout=30, trust_env=False) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        process.signal(signal.SIGTERM)
        process.until("/readyz", 503)
        process.signal(signal.SIGTERM)
        with pytest.raises(httpx.TransportError):
            for _ in chunks:
                pass
    assert process.status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_has_no_delay(workers: int, start: Start) -> None:
    process = start(workers, delay_s=600)
    os.killpg(process.popen.pid, signal.SIGINT)
    assert process.status() == 0


def test_a_worker_that_dies_is_replaced(start: Start) -> None:
    process = start(2)
    pids = {process.get().text for _ in range(20)}
    with pytest.raises(httpx.TransportError):
        process.get("/die")
    while not {process.until("/", 200).text for _ in range(20)} - pids:
        pass
    process.signal(signal.SIGTERM)
    assert process.status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_does_not_start_ends_the_process(
    workers: int, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "broken").touch()
    assert start(workers, serves=False).status() == 7


def test_workers_do_not_outlive_their_supervisor(start: Start) -> None:
    process = start(2)
    pids = {int(process.get().text) for _ in range(30)}
    process.signal(signal.SIGKILL)
    process.status()
    while any(is_running(pid) for pid in pids):
        time.sleep(0.02)  # the runner's own limit ends this where they stay


async def test_no_request_is_lost_while_each_of_two_is_restarted_under_load(start: Start) -> None:
    processes = [start(delay_s=0.4), start(delay_s=0.4)]
    urls = [process.url for process in processes]
    served, over = 0, False

    async def client(turn: int) -> None:
        """Keeps its connection until it is told goodbye, then goes to one that is ready."""
        nonlocal served
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            while not over:
                answer = await http.get(urls[turn])
                assert answer.status_code == 200
                served += 1
                if answer.headers.get("connection") == "close":
                    turn = 1 - turn

    clients = [asyncio.ensure_future(client(n % 2)) for n in range(6)]
    for turn, process in enumerate(processes):
        await asyncio.sleep(0.2)
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.status) == 0
        await asyncio.to_thread(start, port=int(urls[turn].rsplit(":", 1)[1]), delay_s=0.4)
    before = served
    while served < before + 100:
        await asyncio.sleep(0.01)
    over = True
    await asyncio.gather(*clients)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_not_accepted_any_more_is_refused_at_once(workers: int, start: Start) -> None:
    process = start(workers, timeout_s=600)
    address = ("127.0.0.1", int(process.url.rsplit(":", 1)[1]))
    with httpx.stream("GET", process.url + "/for-ever", timeout=30, trust_env=False) as answer:
        next(answer.iter_raw())
        process.signal(signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):
            while True:  # the runner's own limit ends this where it goes on
                socket.create_connection(address).close()
                time.sleep(0.02)
    process.signal(signal.SIGTERM)
    assert process.status() == 0
