"""Puts load on an address, through wrk where it is installed and else through the generator of this package.

Task: T-032 · Spec: plan.md#yardstick
"""

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Generator = Literal["wrk", "bundled"]
Bounds = Mapping[int, tuple[int, int]]
"""What may be answered: for each status, the shortest and the longest body, in bytes."""

SCRIPT = Path(__file__).with_name("load.lua")
RESULT = re.compile(r"^result (\{.*\})$", re.MULTILINE)
TIMEOUT_S = 10


class LoadError(Exception):
    """The load could not be put on: nothing listens, or the generator broke."""


@dataclass(frozen=True)
class Answers:
    """What came back. `answers`: all of them, `wrong`: those of another status or length than expected,
    `failed`: connections that broke or took longer than 10 s. `cpu_s`: the generator's own.
    """

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    wrong: int
    failed: int
    cpu_s: float

    @property
    def is_sound(self) -> bool:
        """Whether every answer was the one that was asked for: only then the rate means anything."""
        return self.answers > 0 and not self.wrong and not self.failed


def installed_generator() -> Generator:
    """The generator that `run` uses on this machine."""
    return "wrk" if shutil.which("wrk") else "bundled"


def write_requests(file: Path, requests: Sequence[bytes]) -> None:
    """Write raw requests as both generators read them: each behind a line with its length."""
    file.write_bytes(b"".join(b"%d\n%b" % (len(request), request) for request in requests))


def read_requests(file: Path) -> list[bytes]:
    """The requests that `write_requests` wrote."""
    data, position, requests = file.read_bytes(), 0, []
    while position < len(data):
        line_end = data.index(b"\n", position)
        position = line_end + 1 + int(data[position:line_end])
        requests.append(data[line_end + 1 : position])
    return requests


def run(
    generator: Generator, port: int, requests: Path, bounds: Bounds, connections: int, seconds: int
) -> Answers:
    """Send the requests in turn on `connections` kept-alive connections, each with one request on its way.

    Raises `LoadError`.
    """
    expected = [f"{status}:{shortest}:{longest}" for status, (shortest, longest) in bounds.items()]
    if generator == "wrk":
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={TIMEOUT_S}s", f"-s{SCRIPT}"]
        command = ["wrk", *options, f"http://127.0.0.1:{port}", "--", str(requests), *expected]
    else:
        options = [str(port), str(connections), str(seconds)]
        command = [sys.executable, "-m", "todo_bench.generator", *options, str(requests), *expected]
    before = _cpu_of_children()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise LoadError(f"{generator} failed: {(done.stderr or done.stdout).strip()}")
    return parse(done.stdout, _cpu_of_children() - before)


def parse(output: str, cpu_s: float) -> Answers:
    """Read what a generator printed. Raises `LoadError` when the line with the result is not there."""
    found = RESULT.search(output)
    if found is None:
        raise LoadError(f"no result in the generator's output: {output[-200:]!r}")
    result = json.loads(found[1])
    return Answers(
        answers=result["answers"],
        seconds=result["microseconds"] / 1e6,
        p50_ms=result["p50_us"] / 1000,
        p99_ms=result["p99_us"] / 1000,
        wrong=result["wrong"],
        failed=result["failed"],
        cpu_s=cpu_s,
    )


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
