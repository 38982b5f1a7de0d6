"""The command line.

Task: T-032 · Spec: plan.md#yardstick
"""

import subprocess
import sys

import pytest
from todo_bench.__main__ import command
from todo_bench.rounds import Method
from todo_bench.suites import WHAT


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "todo_bench", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lists"], "there is no lists: it takes list, create"),
        (["--rounds", "0"], "has to be 1 or more"),
        (["--seconds", "half"], "invalid"),
        (["--smoke", "--check"], "judges no timing"),
        (["--smoke", "--publish"], "judges no timing"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_sentence(arguments: list[str], reason: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert reason in done.stderr


def test_the_command_that_repeats_a_run_says_what_is_not_the_default() -> None:
    assert command(list(WHAT), Method()) == "./dev bench"
    assert command(["list", "mix"], Method(rounds=7)) == "./dev bench list mix --rounds 7"
    assert command(list(WHAT), Method(seconds=1)) == "./dev bench --seconds 1"


def test_the_verifier_is_measured_beside_pyjwt() -> None:
    done = bench("verifier", "--smoke")
    assert done.returncode == 0, done.stderr
    for algorithm in ("EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256"):
        assert f"verify {algorithm}, cold" in done.stdout
        assert f"verify {algorithm}, remembered" in done.stdout
    assert "PyJWT" in done.stdout
