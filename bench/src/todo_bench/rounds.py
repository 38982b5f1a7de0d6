"""The method: after a warm-up, rounds in which the builds take turns, with an eye on CPU and answers.

Task: T-032 · Spec: plan.md#yardstick
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from todo_bench import load
from todo_bench.figures import Round, Series
from todo_bench.launch import Launcher, Running
from todo_bench.load import Answers, Bounds, Generator
from todo_bench.usage import Usage, spent_us


@dataclass(frozen=True)
class Method:
    """How long and how hard. `warm_up_s`: for each build before its first round of a piece of work."""

    rounds: int = 5
    seconds: int = 2
    warm_up_s: int = 2
    connections: int = 16
    generator: Generator = field(default_factory=load.installed_generator)


@dataclass(frozen=True)
class Contestant:
    """A running build, what is sent to it, and what it may answer. `prepare` puts its rows back, outside of
    the time that is measured.
    """

    name: str
    running: Running
    requests: Sequence[bytes]
    bounds: Bounds
    prepare: Callable[[], None] = lambda: None


class Course:
    """Measures contestants. `shared`: processes that work for all of them; `directory`: for the requests."""

    def __init__(
        self, method: Method, launcher: Launcher, directory: Path, shared: Usage | None = None
    ) -> None:
        self.method = method
        self._launcher = launcher
        self._file = directory / "requests"
        self._shared = shared or Usage({})

    def compete(self, contestants: Sequence[Contestant], connections: int | None = None) -> list[Series]:
        """Measure all of them in every round, each time beginning with another one.

        `connections`: another number than the method's.
        """
        connections = connections or self.method.connections
        measured: dict[str, list[Round]] = {contestant.name: [] for contestant in contestants}
        if self.method.warm_up_s:
            for contestant in contestants:
                contestant.prepare()
                self.put_load(contestant, connections, self.method.warm_up_s)
        for order in orders(contestants, self.method.rounds):
            for contestant in order:
                measured[contestant.name].append(self._measure(contestant, connections))
        return [Series(name, "req/s", rounds) for name, rounds in measured.items()]

    def put_load(self, contestant: Contestant, connections: int, seconds: int) -> Answers:
        """Send its requests to a contestant for so many seconds; its logs are emptied before."""
        self._launcher.empty_logs()
        load.write_requests(self._file, contestant.requests)
        port = contestant.running.build.port
        return load.run(self.method.generator, port, self._file, contestant.bounds, connections, seconds)

    def _measure(self, contestant: Contestant, connections: int) -> Round:
        contestant.prepare()
        before = self._cpu_s(contestant)
        answers = self.put_load(contestant, connections, self.method.seconds)
        return judged(answers, spent_us(before, self._cpu_s(contestant), answers.answers))

    def _cpu_s(self, contestant: Contestant) -> dict[str, float]:
        return contestant.running.usage.cpu_s() | self._shared.cpu_s()


def orders(contestants: Sequence[Contestant], rounds: int) -> list[list[Contestant]]:
    """Who goes after whom in each round: the same circle, entered one further each time."""
    starts = [number % len(contestants) for number in range(rounds)]
    return [[*contestants[start:], *contestants[:start]] for start in starts]


def judged(answers: Answers, cpu_us: dict[str, float]) -> Round:
    """What a round measured, or why it measured nothing: a single wrong answer is enough."""
    if not answers.answers:
        return Round(None, failure=f"no answer in {answers.seconds:.0f} s")
    if not answers.is_sound:
        wrong = f"{answers.wrong} wrong and {answers.failed} failed of {answers.answers} answers"
        return Round(None, failure=wrong)
    spent = cpu_us | {"load": answers.cpu_s / answers.answers * 1e6}
    return Round(answers.answers / answers.seconds, answers.p50_ms, answers.p99_ms, spent)
