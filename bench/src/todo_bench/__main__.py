"""`./dev bench`: arguments, the run, and the exit code.

Task: T-032 · Spec: plan.md#yardstick
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from rich.console import Console
from todo_stack.errors import StackError
from todo_stack.postgres import Postgres

from todo_bench import alternatives, floors, issuer, machine, publish
from todo_bench.builds import install_node, lacking_haproxy, lacking_node
from todo_bench.launch import Launcher, LaunchError
from todo_bench.load import LoadError
from todo_bench.report import Run, print_run, print_verdicts, subject_fails
from todo_bench.rounds import Method
from todo_bench.suites import SMOKE, WHAT, WHOLE, Extent, Suites
from todo_bench.work import WrongAnswer

WIDTH = 150
ALTERNATIVES = "alternatives"
"""What is no suite: behaviours are looked at, and no build is started."""


def main() -> None:
    """Measure what the arguments name. Exits with 1 when the product answers wrongly, when `--check` finds a
    floor that does not hold, or when todo_auth does not do all that the alternatives are asked.
    """
    arguments = _arguments()
    # A file or a pipe has no width of its own: the table gets what it needs.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if arguments.what == [ALTERNATIVES]:
        sys.exit(not alternatives.run(console, smoke=arguments.smoke, publish=arguments.publish))
    if arguments.smoke:
        method, extent = Method(rounds=1, seconds=1, warm_up_s=0), SMOKE
    else:
        method, extent = Method(rounds=arguments.rounds, seconds=arguments.seconds), WHOLE
    begun = time.monotonic()
    try:
        required = floors.read() if arguments.check else {}
        run = _run(arguments.what or list(WHAT), method, extent, console)
    except (LaunchError, LoadError, StackError, WrongAnswer, floors.FloorsError) as error:
        sys.exit(f"error: {error}")
    print_run(run, console)
    console.print(f"Measured in {time.monotonic() - begun:.0f} s.")
    if arguments.json:
        arguments.json.write_text(json.dumps(run.document(), indent=1, ensure_ascii=False) + "\n")
    if arguments.publish:
        publish.publish(run)
    verdicts = floors.judge(required, run.comparisons)
    if verdicts:
        print_verdicts(verdicts, console)
    if subject_fails(run.comparisons) or not all(verdict.holds for verdict in verdicts):
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description="The product beside what people would use instead."
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help=f"of {', '.join(WHAT)}, by default all; or {ALTERNATIVES}, alone",
    )
    parser.add_argument(
        "--rounds", type=_positive, default=Method.rounds, metavar="N", help="rounds in turns (%(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=Method.seconds,
        metavar="S",
        help="of load in a round (%(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--check", action="store_true", help="fail under a floor of bench/floors.toml")
    parser.add_argument("--smoke", action="store_true", help="all of it once, briefly; no timing is judged")
    parser.add_argument("--publish", action="store_true", help="write the figures into docs/")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.what) - set(WHAT))
    if ALTERNATIVES in unknown and (len(arguments.what) > 1 or arguments.check):
        parser.error(f"{ALTERNATIVES} stands alone, and has no floors to --check")
    if unknown and unknown != [ALTERNATIVES]:
        parser.error(f"there is no {', '.join(unknown)}: it takes {', '.join(WHAT)}")
    if arguments.smoke and (arguments.check or arguments.publish):
        parser.error("--smoke judges no timing: it goes with neither --check nor --publish")
    return arguments


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("has to be 1 or more")
    return number


def command(what: list[str], method: Method) -> str:
    """What repeats a run, without what only says where its figures go."""
    default = Method()
    words = ["./dev", "bench", *([] if what == list(WHAT) else what)]
    words += [] if method.rounds == default.rounds else ["--rounds", str(method.rounds)]
    words += [] if method.seconds == default.seconds else ["--seconds", str(method.seconds)]
    return " ".join(words)


def _run(what: list[str], method: Method, extent: Extent, console: Console) -> Run:
    node, haproxy = lacking_node(), lacking_haproxy()
    if not node:
        install_node()
    with (
        tempfile.TemporaryDirectory(prefix="todo-bench-") as directory,
        Postgres(Path(directory, "postgres"), durable=False) as postgres,
        issuer.serving() as trusted,
        Launcher(Path(directory)) as launcher,
    ):
        described = machine.describe(postgres.url)
        suites = Suites(method, extent, Path(directory), postgres, trusted, launcher)
        comparisons = []
        begun = time.monotonic()
        for comparison in suites.run(what):
            comparisons.append(comparison)
            console.print(f"{time.monotonic() - begun:4.0f} s  {comparison.title}", style="dim")
    return Run(
        command=command(what, method),
        date=date.today().isoformat(),
        machine=described,
        method=method,
        left_out=[f"Left out: {reason}." for reason in (node, haproxy) if reason],
        comparisons=comparisons,
    )


if __name__ == "__main__":
    main()
