"""The table of todo_auth and its alternatives: that it is seen, complete, and written where it belongs."""

import io
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from todo_bench import alternatives
from todo_bench.alternatives import BEHAVIOURS, Rows, Seen, markdown
from todo_bench.contenders import CONTENDERS, SUBJECT
from todo_bench.publish import put
from todo_bench.trouble import troubled_issuer


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "todo_bench", *arguments], capture_output=True, text=True)


def test_todo_auth_does_all_that_the_alternatives_are_asked() -> None:
    done = bench("alternatives", "--smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in CONTENDERS:
        assert name in done.stdout
    assert "µs" in done.stdout


@pytest.mark.parametrize("arguments", [["alternatives", "list"], ["alternatives", "--check"]])
def test_alternatives_stand_alone(arguments: list[str]) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert "stands alone" in done.stderr


def rows(good: bool) -> Rows:
    return {title: [Seen("200", True) for _ in CONTENDERS] for title in BEHAVIOURS} | {
        "of interest": [Seen("401", good if name == SUBJECT else False) for name in CONTENDERS],
        "cost": [Seen("1 µs") for _ in CONTENDERS],
    }


@pytest.mark.parametrize("good", [True, False])
def test_a_run_fails_exactly_when_todo_auth_does_not_do_what_is_asked(
    good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measure(effort: int) -> Rows:
        return rows(good)

    monkeypatch.setattr(alternatives, "measure", measure)
    assert alternatives.run(Console(file=io.StringIO()), smoke=True, publish=False) is good


def test_the_markdown_table_has_a_cell_for_everyone_in_every_row() -> None:
    table = [line for line in markdown(rows(True)).splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(rows(True))
    assert {line.count("|") for line in table} == {len(CONTENDERS) + 2}
    assert "| cost | 1 µs |" in table[-1]
    assert "| of interest | ✓ 401 | ✗ 401 |" in table[-2]


def test_a_page_without_marks_is_not_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- alternatives: begin -->\nno end")
    with pytest.raises(ValueError, match="no marks"):
        put(page, "alternatives", "text")
    assert page.read_text() == "<!-- alternatives: begin -->\nno end"


def test_the_readme_has_the_marks_that_the_table_goes_between(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(alternatives.README.read_text())
    put(page, "alternatives", "the table")
    assert "begin -->\n\nthe table\n<!--" in page.read_text()


def test_a_troubled_issuer_hangs_until_it_is_told_and_counts() -> None:
    with troubled_issuer() as trouble:
        trouble.answers.clear()
        answers: list[httpx.Response] = []
        url = f"{trouble.issuer.base_url}/api/auth/jwks"
        asking = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=60)))
        asking.start()
        while not trouble.fetches:
            threading.Event().wait(0.001)
        assert answers == []
        trouble.others = [None]
        trouble.answers.set()
        asking.join()
        assert answers[0].json() == {"keys": [None, *trouble.issuer.jwks()["keys"]]}
        assert trouble.fetches == 1
