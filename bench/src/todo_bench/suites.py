"""The suites of a run, from the whole path to the start of the processes.

Task: T-032 · Spec: plan.md#yardstick
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg2
from todo_stack.postgres import Postgres

from todo_bench import data
from todo_bench.builds import Builds, Candidate, lacking_haproxy, make_peer_tables
from todo_bench.figures import Comparison, Round, Series
from todo_bench.issuer import BenchIssuer
from todo_bench.launch import Launcher, Running
from todo_bench.load import LoadError
from todo_bench.rounds import Contestant, Course, Method
from todo_bench.usage import Usage, postmaster_of
from todo_bench.verifying import verifier
from todo_bench.work import LIST, MIX, WHOLE_PATH, Asked, Work, prove, prove_verifying

ROWS = 10_000
"""In every build's table, and in the product's wherever the size is not what is measured."""
CONNECTED = ("textbook", "node-cached", "product")
"""The builds that are measured at other numbers of connections."""
GATEWAY_BYTES = (11, 8192)


WHAT = (*(work.name for work in WHOLE_PATH), "connections", "gateway", "verifier", "table", "memory", "start")
"""The names of all suites, in the order in which they run."""


@dataclass(frozen=True)
class Extent:
    """How much there is to do. `connections`: beside the method's own; `tables`: rows, the most last;
    `served`: requests after which memory is looked at; `verified`: how often a round verifies each token;
    `starts`: of each build.
    """

    connections: Sequence[int]
    tables: Sequence[int]
    served: Sequence[int]
    verified: int
    starts: int


WHOLE = Extent((1, 64, 256), (1_000, 100_000, 3_000_000), (10_000, 100_000), verified=20, starts=3)
SMOKE = Extent((1, 256), (1_000, 10_000), (100, 1_000), verified=2, starts=1)


@dataclass(frozen=True)
class Entrant:
    """A running build of the whole path, with its database."""

    candidate: Candidate
    running: Running
    database_url: str


class Suites:
    """The suites of one run, with the server and the issuer that they share."""

    def __init__(
        self,
        method: Method,
        extent: Extent,
        directory: Path,
        postgres: Postgres,
        issuer: BenchIssuer,
        launcher: Launcher,
    ) -> None:
        self._method = method
        self._extent = extent
        self._postgres = postgres
        self._issuer = issuer
        self._launcher = launcher
        self._directory = directory
        self._builds = Builds(issuer, directory)
        self._server = _usage_of(postgres)
        self._course = Course(method, launcher, directory, self._server)

    def run(self, what: Collection[str]) -> Iterator[Comparison]:
        """The suites that are named, each comparison as soon as it is known."""
        works = [work for work in WHOLE_PATH if work.name in what]
        if works or "connections" in what:
            yield from self.whole_path(works, connections="connections" in what)
        if "gateway" in what:
            yield from self.gateway()
        if "verifier" in what:
            yield from verifier(self._method.rounds, self._extent.verified)
        if "table" in what:
            yield from self.tables()
        if "memory" in what:
            yield from self.memory()
        if "start" in what:
            yield from self.start()

    def whole_path(self, works: Sequence[Work], *, connections: bool) -> Iterator[Comparison]:
        """Every build at each piece of work; `connections`: lists at other numbers of connections, too."""
        with ExitStack() as running:
            entrants = [running.enter_context(self._entrant(each)) for each in self._builds.candidates()]
            for work in works:
                contestants = [self._contestant(entrant, work) for entrant in entrants]
                yield Comparison(work.name, work.title, "product", self._course.compete(contestants))
            if connections:
                few = [entrant for entrant in entrants if entrant.candidate.name in CONNECTED]
                contestants = [self._contestant(entrant, LIST) for entrant in few]
                for number in self._extent.connections:
                    series = self._course.compete(contestants, connections=number)
                    title = f"{LIST.title}, {number} connection{'s' if number > 1 else ''}"
                    yield Comparison(f"connections-{number}", title, "product", series)

    def gateway(self) -> Iterator[Comparison]:
        """The gateways alone, with ES256 tokens, before something that answers at once."""
        tokens = self._issuer.tokens("ES256", data.users_of(ROWS))
        course = Course(self._method, self._launcher, self._directory)
        with ExitStack() as running:
            upstream = running.enter_context(self._launcher.run(self._builds.upstream()))
            port = upstream.build.port
            haproxy = [] if lacking_haproxy() else [self._builds.haproxy(port)]
            builds = [*haproxy, self._builds.textbook_gateway(port), self._builds.product_gateway(port)]
            started = [upstream, *(running.enter_context(self._launcher.run(build)) for build in builds)]
            for length in GATEWAY_BYTES:
                asked = Asked("GET", f"/api/tasks?limit={length}", user=1)
                for each in started[1:]:
                    prove_verifying(each.build.port, asked, tokens)
                requests = [asked.raw(token) for token in tokens]
                contestants = [
                    Contestant(each.build.name, each, requests, {200: (length, length)}) for each in started
                ]
                title = f"gateway alone, {length} B"
                yield Comparison(f"gateway-{length}", title, "product", course.compete(contestants))

    def tables(self) -> Iterator[Comparison]:
        """The product's list in tables of several sizes; the subject is the one in the greatest."""
        with ExitStack() as running:
            contestants = []
            for rows in self._extent.tables:
                candidate = self._builds.candidate(f"{rows:,} rows")
                entrant = running.enter_context(self._entrant(candidate, rows))
                contestants.append(self._contestant(entrant, LIST, rows))
            series = self._course.compete(contestants)
            yield Comparison("table", f"{LIST.title}, rows in the table", contestants[-1].name, series)

    def memory(self) -> Iterator[Comparison]:
        """Memory of the product's processes at its start and after many requests of the mixture.

        Raises `LoadError` when an answer is wrong.
        """
        with self._entrant(self._builds.candidate("product")) as entrant:
            readings = {"at start": self._memory_mb(entrant)}
            contestant = self._contestant(entrant, MIX)
            served = 0
            for wanted in self._extent.served:
                while served < wanted:
                    connections, seconds = self._method.connections, self._method.seconds
                    answers = self._course.put_load(contestant, connections, seconds)
                    if not answers.is_sound:
                        raise LoadError(f"{answers.wrong} wrong and {answers.failed} failed answers")
                    served += answers.answers
                readings[f"after {wanted:,}"] = self._memory_mb(entrant)
        last = f"after {self._extent.served[-1]:,}"
        for part in readings["at start"]:
            series = [Series(when, "MB", [Round(found[part])]) for when, found in readings.items()]
            yield Comparison(f"memory-{part}", f"memory of {part}", last, series)

    def start(self) -> Iterator[Comparison]:
        """Time from the first process to the first answer, on tables that are there."""
        candidates = self._builds.candidates()
        measured: dict[str, list[Round]] = {candidate.name: [] for candidate in candidates}
        for _ in range(self._extent.starts):
            for candidate in candidates:
                with self._entrant(candidate) as entrant:
                    measured[candidate.name].append(Round(entrant.running.startup_s))
        series = [Series(name, "s", rounds) for name, rounds in measured.items()]
        yield Comparison("start", "start, until it answers", "product", series)

    @contextmanager
    def _entrant(self, candidate: Candidate, rows: int = ROWS) -> Iterator[Entrant]:
        """Run a build with a database of its own."""
        url = self._postgres.create_database("bench " + candidate.name)
        if candidate.layout == "product":
            # With the users in the same database, as Better Auth has them, rows are tied to them.
            data.add_users(url, data.users_of(rows))
        else:
            make_peer_tables(url)
        with self._launcher.run(candidate.make(url)) as running:
            yield Entrant(candidate, running, url)

    def _contestant(self, entrant: Entrant, work: Work, rows: int = ROWS) -> Contestant:
        """Fill a build's tables, prove that it does a piece of work right, and say how it is measured."""
        fill = partial(data.fill, entrant.database_url, entrant.candidate.layout, rows)
        fill()
        tokens = self._issuer.tokens("EdDSA", data.users_of(min(rows, ROWS)))
        asked = work.requests(len(tokens))
        bounds = prove(entrant.running.build.port, asked, tokens)
        requests = [each.raw(tokens[each.user - 1]) for each in asked]
        prepare = fill if work.writes else _nothing
        return Contestant(entrant.candidate.name, entrant.running, requests, bounds, prepare)

    def _memory_mb(self, entrant: Entrant) -> Mapping[str, float]:
        return entrant.running.usage.memory_mb() | self._server.memory_mb()


def _usage_of(postgres: Postgres) -> Usage:
    session = psycopg2.connect(postgres.url)
    postmaster = postmaster_of(session.info.backend_pid)
    session.close()
    return Usage({"postgres": postmaster})


def _nothing() -> None:
    """Rows that are only read stay as they are."""
