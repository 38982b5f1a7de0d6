"""Rounds in turns, and what makes one count.

Task: T-032 · Spec: plan.md#yardstick
"""

import sys
from pathlib import Path

from todo_bench.launch import Build, Launcher, Part, answers
from todo_bench.load import Answers
from todo_bench.rounds import Contestant, Course, Method, judged, orders
from todo_stack.ports import free_port


def test_every_round_has_every_build_and_begins_with_another_one(tmp_path: Path) -> None:
    build = upstream()
    with Launcher(tmp_path) as launcher, launcher.run(build) as running:
        contestants = [Contestant(name, running, [], {}) for name in "abc"]
    names = ["".join(contestant.name for contestant in order) for order in orders(contestants, 4)]
    assert names == ["abc", "bca", "cab", "abc"]


def test_a_round_divides_answers_by_seconds_and_keeps_what_each_process_spent() -> None:
    found = judged(Answers(1000, 2.0, 1.0, 5.0, wrong=0, failed=0, cpu_s=0.02), {"gateway": 98.0})
    assert found.value == 500
    assert (found.p50_ms, found.p99_ms) == (1.0, 5.0)
    assert found.cpu_us == {"gateway": 98.0, "load": 20.0}


def test_one_wrong_answer_is_enough_for_a_round_not_to_count() -> None:
    found = judged(Answers(1000, 2.0, 1.0, 5.0, wrong=1, failed=0, cpu_s=0.02), {"gateway": 98.0})
    assert found.value is None
    assert found.failure == "1 wrong and 0 failed of 1000 answers"


def test_a_round_without_an_answer_does_not_count() -> None:
    found = judged(Answers(0, 2.0, 0.0, 0.0, wrong=0, failed=0, cpu_s=0.02), {})
    assert found.value is None
    assert found.failure == "no answer in 2 s"


def test_a_fast_error_has_no_rate_and_a_right_answer_has(tmp_path: Path) -> None:
    build, prepared = upstream(), []
    request = b"GET /?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Launcher(tmp_path) as launcher, launcher.run(build) as running:
        course = Course(Method(rounds=1, seconds=1, warm_up_s=0), launcher, tmp_path)
        right, wrong = course.compete(
            [
                Contestant("right", running, [request], {200: (100, 100)}, lambda: prepared.append("right")),
                Contestant("wrong", running, [request], {200: (9000, 10000)}),
            ]
        )
    assert prepared == ["right"]
    assert right.value and right.value > 10
    assert right.cpu_us["upstream"] > 0
    assert right.cpu_us["load"] > 0
    assert wrong.value is None
    assert "wrong" in wrong.failures[0]


def upstream() -> Build:
    port = free_port()
    command = [sys.executable, "-m", "todo_bench.upstream", str(port)]
    return Build("upstream", port, [Part("upstream", command, {}, answers(port, "/"))])
