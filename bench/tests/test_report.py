"""What a reader is shown: digits, ratios, remarks, JSON, Markdown, and the picture.

Task: T-032 · Spec: plan.md#yardstick
"""

import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from rich.console import Console
from todo_bench import publish
from todo_bench.figures import Comparison, Ratio, Round, Series
from todo_bench.floors import Verdict
from todo_bench.picture import draw
from todo_bench.report import (
    Run,
    figure,
    milliseconds,
    print_run,
    print_verdicts,
    remarks,
    subject_fails,
    times,
)
from todo_bench.rounds import Method

SVG = "{http://www.w3.org/2000/svg}"


def run(mine: Round, theirs: Round) -> Run:
    series = [Series("node <20>", "req/s", [theirs]), Series("product", "req/s", [mine])]
    method = Method(rounds=1, seconds=2, generator="wrk")
    comparison = Comparison("list", "list 20 of 100", "product", series)
    machine = {"processor": "abacus, 2 cores", "Python": "3.11"}
    return Run("./dev bench", "2026-01-02", machine, method, ["Left out: no HAProxy."], [comparison])


MINE = Round(4000.0, 3.9, 9.5, {"gateway": 100.4, "tasks": 150.0, "load": 10.0})
THEIRS = Round(1000.0, 15.0, 31.0, {"node": 400.0, "load": 12.0})


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12345.6, "req/s", "12,346/s"),
        (0.4123, "µs", "0.412 µs"),
        (61.27, "MB", "61.3 MB"),
        (None, "s", "does not count"),
    ],
)
def test_a_figure_has_as_many_digits_as_it_is_worth(value: float | None, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_a_ratio_shows_how_far_its_rounds_lie_apart() -> None:
    assert times(Ratio(14.23, 9.876, 150.4)) == "14.2 (9.88–150)"
    assert times(Ratio(1.5, 1.5, 1.5)) == "1.50"
    assert times(None) == ""


def test_a_latency_is_shown_in_milliseconds() -> None:
    assert (milliseconds(12.34), milliseconds(0.456), milliseconds(None)) == ("12.3", "0.46", "")


def test_the_table_names_the_machine_and_every_figure() -> None:
    console = Console(file=io.StringIO(), width=160)
    print_run(run(MINE, THEIRS), console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for expected in ("abacus, 2 cores", "Left out: no HAProxy.", "wrk", "1,000/s", "4,000/s", "4.00", "31.0"):
        assert expected in text
    assert "250 = gateway 100 + tasks 150" in text


def test_remarks_name_wrong_answers_and_a_busy_generator() -> None:
    found = remarks(run(Round(90_000.0, cpu_us={"load": 10.0}), Round(None, failure="3 wrong of 9 answers")))
    assert found[0] == "Left out: no HAProxy."
    assert found[1] == "list 20 of 100: node <20> does not count in 1 of 1 rounds (3 wrong of 9 answers)."
    assert found[2] == "list 20 of 100: product kept the load generator busy for 90% of a core."


def test_only_the_subjects_wrong_answers_make_a_run_fail() -> None:
    failed = Round(None, failure="wrong")
    assert not subject_fails(run(MINE, failed).comparisons)
    assert subject_fails(run(failed, THEIRS).comparisons)


def test_the_document_holds_rounds_and_ratios() -> None:
    document = json.loads(json.dumps(run(MINE, THEIRS).document()))
    (work,) = document["works"]
    assert work["builds"]["node <20>"]["subject_is_times_better"] == {
        "median": 4.0,
        "least": 4.0,
        "greatest": 4.0,
    }
    assert work["builds"]["product"]["rounds"][0]["cpu_us"]["gateway"] == 100.4
    assert document["method"]["seconds"] == 2
    assert document["machine"]["processor"] == "abacus, 2 cores"


def test_the_picture_is_an_svg_with_bars_in_proportion() -> None:
    picture = ElementTree.fromstring(draw(run(MINE, THEIRS).comparisons, "Requests & answers", "note"))
    theirs, mine = picture.iter(f"{SVG}rect")
    assert float(mine.attrib["width"]) == pytest.approx(4 * float(theirs.attrib["width"]), abs=0.5)
    assert mine.attrib["class"] == "subject"
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert "node <20>" in texts
    assert "1,000/s · product 4×" in texts


def test_a_build_with_wrong_answers_has_no_bar() -> None:
    picture = ElementTree.fromstring(
        draw(run(MINE, Round(None, failure="wrong")).comparisons, "title", "note")
    )
    assert next(picture.iter(f"{SVG}rect")).attrib["width"] == "0.0"
    assert "does not count" in [text.text for text in picture.iter(f"{SVG}text")]


def test_publishing_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Before\n\n{publish.BEGIN}\nold\n{publish.END}\n\nAfter.\n")
    publish.publish(run(MINE, THEIRS), tmp_path)
    publish.publish(run(MINE, THEIRS), tmp_path)
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{publish.BEGIN}\n\nTaken on 2026-01-02 by `./dev bench`")
    assert text.endswith(f"{publish.END}\n\nAfter.\n")
    assert "| list 20 of 100 | **product** | 4,000/s | 3.9 | 9.5 | 250 = gateway 100 + tasks 150 |  |" in text
    assert "old" not in text
    assert (tmp_path / "images" / "performance.svg").exists()


def test_verdicts_name_every_floor_that_does_not_hold() -> None:
    console = Console(file=io.StringIO(), width=160)
    verdicts = [
        Verdict("list", "node", 2.0, 1.5),
        Verdict("list", "textbook", 2.0, 2.5),
        Verdict("x", "y", 1.0, None),
    ]
    print_verdicts(verdicts, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "list: 1.5 × node is under the floor, 2." in text
    assert "1 of 2 floors hold; 1 were not measured." in text
