"""Parts as real processes: readiness, early ends, output, order of stopping, and no orphans."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from todo_stack.errors import StackError
from todo_stack.processes import Part, Processes, answers
from todo_stack.terminal import Terminal

MakePart = Callable[..., Part]
Eventually = Callable[[Callable[[], bool]], bool]

SERVES = "ready.touch(); time.sleep(600)"


def running(text: str) -> list[psutil.Process]:
    """Processes with `text` in their command line, other than this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and any(text in word for word in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return [process for process in found if process.pid != psutil.Process().pid]


async def test_a_part_is_started_once_it_says_that_it_is_ready(part: MakePart, terminal: Terminal) -> None:
    slow = part("slow", f"time.sleep(0.3); {SERVES}")
    async with Processes(terminal) as processes:
        await processes.start(slow)
        assert await slow.ready()


async def test_a_part_that_dies_early_fails_the_start_with_its_last_lines(
    part: MakePart, terminal: Terminal
) -> None:
    with pytest.raises(StackError) as failure:
        async with Processes(terminal) as processes:
            await processes.start(
                part("doomed", "print('one'); print('the reason', file=sys.stderr); sys.exit(3)")
            )
    text = str(failure.value)
    assert text.startswith("doomed ended before it was ready (exit code 3).") and text.endswith(
        "\n  the reason"
    )


async def test_a_part_that_never_gets_ready_fails_the_start(
    part: MakePart, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("todo_stack.processes.READY_S", 0.3)
    with pytest.raises(StackError, match="stuck was not ready within 0 s"):
        async with Processes(terminal) as processes:
            await processes.start(part("stuck", "time.sleep(600)"))


async def test_a_part_that_ends_later_is_named(part: MakePart, terminal: Terminal, tmp_path: Path) -> None:
    async with Processes(terminal) as processes:
        await processes.start(part("steady", SERVES))
        await processes.start(part("brief", "until_told(); os.kill(os.getpid(), signal.SIGKILL)"))
        (tmp_path / "told").touch()
        assert str(await processes.first_end()).startswith("brief ended unexpectedly (SIGKILL).")


async def test_a_command_that_fails_is_named_with_its_last_lines(terminal: Terminal) -> None:
    async with Processes(terminal) as processes:
        await processes.run("fine", [sys.executable, "-c", ""], {})
        with pytest.raises(StackError, match=r"broken failed \(exit code 1\)\. Its last lines:\n  why"):
            await processes.run("broken", [sys.executable, "-c", "import sys; sys.exit('why')"], {})


async def test_parts_stop_in_reverse_order(part: MakePart, terminal: Terminal, tmp_path: Path) -> None:
    order = tmp_path / "order"
    program = (
        "def leave(*_):\n"
        f"    with open({str(order)!r}, 'a') as file: file.write(os.environ['NAME'] + ' ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\n" + SERVES
    )
    async with Processes(terminal) as processes:
        for name in ("first", "second", "third"):
            await processes.start(part(name, program, {"NAME": name}))
    assert order.read_text().split() == ["third", "second", "first"]


async def test_a_part_that_ignores_its_stop_signal_is_killed(
    part: MakePart, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("todo_stack.processes.STOP_S", 0.2)
    async with Processes(terminal) as processes:
        await processes.start(part("deaf", f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}"))
    assert not running("deaf.ready")


async def test_what_a_part_has_started_itself_is_stopped_too(
    part: MakePart, terminal: Terminal, tmp_path: Path
) -> None:
    program = (
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'grandchild-of-test'])\n"
        + SERVES
    )
    async with Processes(terminal) as processes:
        await processes.start(part("parent", program))
        assert running("grandchild-of-test")
    assert not running("grandchild-of-test")


async def test_output_comes_line_by_line_behind_the_parts_name(
    part: MakePart, terminal: Terminal, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async with Processes(terminal) as processes:
        program = "until_told(); print('one\\ntwo'); print('x' * 200000); print('end', end='')"
        await processes.start(part("talker", program))
        (tmp_path / "told").touch()
        await processes.first_end()
    lines = [line for line in capfdbinary.readouterr().out.splitlines() if line.startswith(b"talker")]
    assert lines[:2] == ["talker   │ one".encode(), "talker   │ two".encode()]
    assert sum(line.count(b"x") for line in lines) == 200000
    assert lines[-1].endswith(b"end")


KILLED = """
import asyncio, sys
from todo_stack.processes import Part, Processes
from todo_stack.terminal import Terminal

async def no():
    return False

async def main():
    async with Processes(Terminal()) as processes:
        grandchild = "[sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]]"
        child = f"import subprocess, sys; subprocess.run({grandchild})"
        await processes.start(Part("part", [sys.executable, "-c", child, sys.argv[1]], {}, no))

asyncio.run(main())
"""


def test_nothing_outlives_a_supervisor_that_is_killed(eventually: Eventually, tmp_path: Path) -> None:
    mark = f"mark-{tmp_path}"
    with subprocess.Popen([sys.executable, "-c", KILLED, mark]) as supervisor:
        # The supervisor, its part, and the part's child.
        assert eventually(lambda: len(running(mark)) == 3)
        supervisor.send_signal(signal.SIGKILL)
    assert eventually(lambda: not running(mark))


async def test_only_a_200_is_an_answer(unused_tcp_port: int) -> None:
    replies = iter(
        [b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
    )

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(replies))
        writer.close()
        await writer.wait_closed()

    ready = answers(f"http://127.0.0.1:{unused_tcp_port}/readyz")
    assert not await ready()
    async with await asyncio.start_server(reply, "127.0.0.1", unused_tcp_port):
        assert [await ready() for _ in range(3)] == [False, False, True]
