"""The release notes are the changelog's section of the version, or there is no release.

Task: T-061 · Spec: plan.md#hygiene
"""

import subprocess
import sys
from pathlib import Path

import pytest

from release import notes

CHANGELOG = """# Changelog

Words before.

## [1.2.0] - {date}

### Added

- A new thing.

## [1.1.0] - 2026-01-02

- An old thing.
"""


def repository(folder: Path, date: str = "2026-03-04", version: str = "1.2.0") -> Path:
    (folder / "libs").mkdir()
    (folder / "libs" / "version.py").write_text(f'VERSION = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(CHANGELOG.format(date=date))
    return folder


def test_the_changelog_begins_with_the_version_of_the_packages() -> None:
    assert notes.notes()


def test_the_notes_are_the_section_of_the_version(tmp_path: Path) -> None:
    assert notes.notes(repository(tmp_path), tag="v1.2.0") == "### Added\n\n- A new thing.\n"


@pytest.mark.parametrize(
    ("date", "version", "tag", "sentence"),
    [
        ("2026-03-04", "1.3.0", None, "CHANGELOG.md begins with 1.2.0, and libs/version.py says 1.3.0."),
        ("2026-03-04", "1.2.0", "v1.3.0", "The tag is v1.3.0, and libs/version.py says 1.2.0."),
        ("unreleased", "1.2.0", "v1.2.0", "The section of 1.2.0 in CHANGELOG.md has no date."),
    ],
)
def test_what_does_not_fit_is_no_release(
    tmp_path: Path, date: str, version: str, tag: str | None, sentence: str
) -> None:
    root = repository(tmp_path, date, version)
    with pytest.raises(notes.Unfit) as refused:
        notes.notes(root, tag)
    assert str(refused.value) == sentence


def test_the_command_of_the_release_workflow_refuses_a_wrong_tag() -> None:
    command = [sys.executable, str(notes.ROOT / "release" / "notes.py"), "--tag", "v0.0.0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: The tag is v0.0.0")
