"""Ends every process of the stack when the one that started them is gone, however it went.

The watchdog is a process that leads a process group and waits for the end of a pipe. Everything the stack
starts joins that group at its birth, so there is no moment in which a part runs and the watchdog does not
know of it. The pipe ends when its owner closes it, exits, or is killed; the watchdog then stops whatever the
group still holds, grandchildren included.

Task: T-004 · Spec: plan.md#processes
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType

import psutil

GRACE_S = 5.0
"""How long the group has between SIGTERM and SIGKILL."""


class Watchdog:
    """A process group that does not outlive its owner: `Popen(…, process_group=watchdog.group)`.

    `holding`: file descriptors that stay open until the group is gone.
    """

    def __init__(self, holding: Sequence[int] = ()) -> None:
        self._holding = holding

    def __enter__(self) -> "Watchdog":
        # A group of its own keeps the terminal's Ctrl-C away: the owner decides in which order parts stop.
        command = [sys.executable, "-m", "todo_stack.watchdog"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, process_group=0, pass_fds=self._holding
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what is left in the group: SIGTERM, at most `GRACE_S` seconds, SIGKILL."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    @property
    def group(self) -> int:
        """The id of the process group."""
        return self._process.pid


def _others(group: int) -> bool:
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and os.getpgid(process.pid) == group
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                return True
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return False


def main() -> None:
    """Wait for the end of standard input, then end the process group, this process included."""
    group = os.getpgrp()
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    if _others(group):
        os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while _others(group) and time.monotonic() < deadline:
            time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
