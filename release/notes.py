"""The release notes of the version at hand: its section of CHANGELOG.md.

`python release/notes.py [--tag v1.2.3]`. With a tag it is a release, and refused unless the tag is the
version's and its section has a date.

Task: T-061 · Spec: plan.md#hygiene
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_VERSION = re.compile(r'^VERSION = "(\d+\.\d+\.\d+)"$', re.MULTILINE)
_SECTION = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)


class Unfit(Exception):
    """A reason not to release, in one sentence."""


def version(root: Path = ROOT) -> str:
    """The version of every package, as libs/version.py has it. Read, not imported: that needs hatchling."""
    [found] = _VERSION.findall((root / "libs" / "version.py").read_text())
    return str(found)


def notes(root: Path = ROOT, tag: str | None = None) -> str:
    """The newest section of CHANGELOG.md, without its heading.

    Raises Unfit when that section is not the version's; with `tag` also when the tag is of another version,
    or the section has no date.
    """
    first, *others = _SECTION.finditer(text := (root / "CHANGELOG.md").read_text())
    newest, date = first.groups()
    if newest != (wanted := version(root)):
        raise Unfit(f"CHANGELOG.md begins with {newest}, and libs/version.py says {wanted}.")
    if tag is not None and tag != f"v{wanted}":
        raise Unfit(f"The tag is {tag}, and libs/version.py says {wanted}.")
    if tag is not None and date == "unreleased":
        raise Unfit(f"The section of {wanted} in CHANGELOG.md has no date.")
    end = others[0].start() if others else len(text)
    return text[first.end() : end].strip() + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Writes the notes to standard output, or says why not and exits with 1."""
    parser = argparse.ArgumentParser(prog="python release/notes.py", description="Release notes.")
    parser.add_argument("--tag", help="the tag of a release, such as v1.2.3")
    try:
        sys.stdout.write(notes(tag=parser.parse_args(arguments).tag))
    except Unfit as unfit:
        sys.exit(f"error: {unfit}")


if __name__ == "__main__":
    main()
