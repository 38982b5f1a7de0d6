"""Specifications and code are kept in step.

Task: T-030 · Spec: plan.md#trace
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TRACE = re.compile(r"Task: (T-\d{3}) · Spec: plan\.md#([a-z0-9-]+)")
TASK_ROW = re.compile(
    r"^\| (T-\d{3}) \| .+ \| \[[^\]]+\]\(plan\.md#([a-z0-9-]+)\) \| (done|open) \|$", re.MULTILINE
)

PLAN = (ROOT / "specs" / "plan.md").read_text()
ANCHORS = {
    re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
    for heading in re.findall(r"^## (.+)$", PLAN, re.MULTILINE)
}
TASK_LIST = (ROOT / "specs" / "tasks.md").read_text()
TASKS = {task: (anchor, state) for task, anchor, state in TASK_ROW.findall(TASK_LIST)}
SPECIFICATION = (ROOT / "specs" / "specify.md").read_text()


def tracked_files() -> list[Path]:
    """What git has, and would take; without git, what lies there."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    skipped = {".nox", "node_modules", ".next"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.parts)]


FILES = tracked_files()
SOURCES = [
    path
    for path in FILES
    if path.suffix == ".py" and "src" in path.parts and "versions" not in path.parts and path.stat().st_size
]

CODE = [
    path for path in FILES if path.suffix in {".py", ".ts", ".tsx", ".mjs"} or path.name in {"dev", "run"}
]


def traces(path: Path) -> list[tuple[str, str]]:
    return TRACE.findall(path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_modules_docstring_ends_with_a_trace_that_leads_somewhere(path: Path) -> None:
    docstring = path.read_text().split('"""')[1]
    match = TRACE.fullmatch(docstring.strip().splitlines()[-1])
    assert match, "the last line of the docstring is no trace line"
    task, anchor = match.groups()
    assert task in TASKS
    assert TASKS[task][0] == anchor
    assert TASKS[task][1] == "done"


def test_every_trace_anywhere_names_a_task_and_an_anchor_that_exist() -> None:
    found = [(path, *trace) for path in CODE for trace in traces(path)]
    assert found
    assert [(path, task) for path, task, _ in found if task not in TASKS] == []
    assert [(path, anchor) for path, _, anchor in found if anchor not in ANCHORS] == []


def test_every_finished_task_is_named_in_code_and_leads_to_the_plan() -> None:
    named = {task for path in CODE for task, _ in traces(path)}
    assert len(TASKS) >= 30
    assert {task for task, (_, state) in TASKS.items() if state == "done"} - named == set()
    assert {anchor for anchor, _ in TASKS.values()} - ANCHORS == set()


def test_every_criterion_of_the_specification_names_a_test_that_exists() -> None:
    tests = "\n".join(path.read_text() for path in CODE if path.name.startswith("test_"))
    criteria = re.findall(r"^- (A-\d{3}) .*?\(`(test_\w+)`\)", SPECIFICATION, re.MULTILINE | re.DOTALL)
    assert criteria
    assert len({number for number, _ in criteria}) == len(criteria)
    assert len(re.findall(r"^- A-\d{3} ", SPECIFICATION, re.MULTILINE)) == len(criteria)
    assert [name for _, name in criteria if f"def {name}(" not in tests] == []


def test_every_test_that_the_threat_model_names_exists() -> None:
    """Task: T-050 · Spec: plan.md#threat-model"""
    tests = "\n".join(path.read_text() for path in CODE if path.name.startswith("test_"))
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text()))
    assert len(named) > 40
    assert {name for name in named if f"def {name}(" not in tests} == set()
