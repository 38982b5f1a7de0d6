"""What the pages name is there: links and their anchors, settings, commands, files, other pages.

Task: T-060 · Spec: plan.md#documentation
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from todo_stack.settings import ROOT

# A test's own, and OpenTelemetry's.
OTHERS = {"DISTRIBUTED_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"}


def prose(page: Any) -> str:
    """The page without its blocks."""
    return re.sub(r"^```\w+\n.*?^```$", "", page.text, flags=re.DOTALL | re.MULTILINE)


def spans(page: Any) -> list[str]:
    """What stands between backquotes."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))


def anchors(path: Path) -> set[str]:
    """What `#` can lead to on a page, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def answer(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_every_block_says_its_language_so_that_none_is_left_out(page: Any, languages: set[str]) -> None:
    assert {language for language, _ in page.blocks()} <= languages
    assert "```" not in prose(page)
    # Four spaces after an empty line would be a block without a language.
    assert re.findall(r"\n\n {4,}\S.*", prose(page)) == []


def test_every_link_leads_somewhere(page: Any) -> None:
    here = ROOT / page.name
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (here.parent / name).resolve() if name else here
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_every_setting_that_is_named_is_there(page: Any) -> None:
    known = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)) | OTHERS
    named = {name for span in spans(page) for name in re.findall(r"^([A-Z]+(?:_[A-Z]+)+)(?:=|$)", span)}
    assert named - known == set()


def test_every_command_of_ours_within_a_sentence_is_there(page: Any) -> None:
    sessions = set(
        re.findall(r"^  ([a-z0-9-]+) ", answer(sys.executable, str(ROOT / "dev"), "--help"), re.MULTILINE)
    )
    for span in spans(page):
        if found := re.match(r"\./dev ([a-z0-9-]+)", span):
            assert found[1] in sessions, span
        if found := re.match(r"(todo-tasks|todo-gateway) ([a-z-]+)", span):
            program = str(Path(sys.executable).parent / found[1])
            assert re.search(rf"^    {found[2]} ", answer(program, "--help"), re.MULTILINE), span


def test_every_page_is_in_the_index_and_no_other(pages: Any) -> None:
    index = re.findall(r"^\| \[[^\]]+\]\(([\w-]+\.md)\)", pages["docs/README.md"].text, re.MULTILINE)
    here = {Path(name).name for name in pages if name.startswith("docs/")} - {"README.md", "threat-model.md"}
    assert sorted(index) == sorted(here)


@pytest.mark.parametrize("words", [r"\bTODO\b", r"\bTBD\b", "/home/", "/tmp/"])
def test_no_page_holds_what_was_left_for_later_or_a_path_of_somebodys_machine(words: str, pages: Any) -> None:
    assert [name for name, page in pages.items() if re.search(words, page.text)] == []
