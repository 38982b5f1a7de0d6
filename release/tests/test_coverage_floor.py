"""The floor holds for each package, and for lines and branches apart.

Task: T-061 · Spec: plan.md#hygiene
"""

import json
from pathlib import Path

import pytest

from release.coverage_floor import PACKAGES, main


def report(file: Path, **others: tuple[int, int]) -> str:
    """A report like coverage's: of each package one file, with 95 of 100 lines and branches unless told."""
    files = {}
    for package in PACKAGES:
        lines, branches = others.get(package.split("/")[1], (95, 95))
        files[f"{package}/src/todo/one.py"] = {
            "summary": {
                "covered_lines": lines,
                "num_statements": 100,
                "covered_branches": branches,
                "num_branches": 100,
            }
        }
    file.write_text(json.dumps({"meta": {"format": 3}, "files": files}))
    return str(file)


def test_a_package_at_the_floor_passes(tmp_path: Path) -> None:
    assert main(report(tmp_path / "report.json")) == 0


@pytest.mark.parametrize("figures", [(94, 100), (100, 94)])
def test_too_few_lines_or_branches_of_one_package_fail(tmp_path: Path, figures: tuple[int, int]) -> None:
    assert main(report(tmp_path / "report.json", tasks=figures)) == 1


def test_a_package_of_which_nothing_was_measured_fails(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"meta": {"format": 3}, "files": {}}))
    with pytest.raises(SystemExit):
        main(str(file))
