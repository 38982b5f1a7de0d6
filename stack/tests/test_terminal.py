"""The terminal: steps and logs as text, a line of running steps where somebody watches."""

import asyncio
import os
import pty
import re

import pytest
from todo_stack.terminal import Terminal


def test_a_step_is_told_with_its_time_when_it_is_done_and_when_it_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    with terminal.step("one"):
        assert capsys.readouterr().out == ""
    with pytest.raises(ValueError), terminal.step("two"):
        raise ValueError
    with pytest.raises(asyncio.CancelledError), terminal.step("three"):
        raise asyncio.CancelledError
    assert re.fullmatch(r"✓ one [0-9.]+ s\n✗ two [0-9.]+ s\n", capsys.readouterr().out)


async def test_a_file_gets_no_escape_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal() as terminal, terminal.step("one"):
        terminal.log("part", ["a line"])
    assert re.fullmatch(r"part     │ a line\n✓ one [0-9.]+ s\n", capsys.readouterr().out)


def everything_from(terminal: int) -> str:
    """What was written to a pseudo-terminal whose other end is closed, which Linux tells with an error."""
    written = b""
    try:
        while chunk := os.read(terminal, 65536):
            written += chunk
    except OSError:
        pass
    os.close(terminal)
    return written.decode()


@pytest.mark.parametrize("no_color", ["", "1"])
async def test_a_terminal_shows_the_running_steps_below_the_logs(
    monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    reader, writer = pty.openpty()
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as screen, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", screen)
        with Terminal() as terminal, terminal.step("one"), terminal.step("two"):
            terminal.log("part", ["a line"])
    written = everything_from(reader)
    logged, _, rest = written.partition("a line\r\n")
    assert ("\x1b[36mpart" in logged) is (no_color == "")
    assert re.match(r"… one [0-9.]+ s  two [0-9.]+ s\r", rest)
    assert rest.endswith("\r\x1b[K")


def test_a_reader_that_went_away_ends_the_stack_as_a_signal_would(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr("os.kill", lambda pid, number: signals.append(number))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr("sys.stdout", nobody)
        terminal = Terminal()
        terminal.say("one")
        terminal.say("two")
    assert len(signals) == 1
