"""Whether each library and service is tested enough: a floor for its lines, and the same for its branches.

`python release/coverage_floor.py coverage.json`. One figure over everything, or of lines and branches in one,
would let a well tested part hide another.

Task: T-061 · Spec: plan.md#hygiene
"""

import json
import sys
from pathlib import Path

FLOOR = 95.0
"""Percent, of lines and of branches."""

PACKAGES = ("libs/auth", "libs/service", "services/gateway", "services/tasks")


def reached(report: dict[str, dict[str, dict[str, dict[str, int]]]], package: str) -> tuple[float, float]:
    """Percent of lines and of branches that the tests reach, from coverage's JSON report (its format 3)."""
    files = [file["summary"] for name, file in report["files"].items() if f"{package}/src/" in name]
    if not files:
        raise SystemExit(f"error: nothing was measured of {package}.")

    def percent(hit: str, all_of_them: str) -> float:
        total = sum(file[all_of_them] for file in files)
        return 100 * sum(file[hit] for file in files) / total if total else 100.0

    return percent("covered_lines", "num_statements"), percent("covered_branches", "num_branches")


def main(path: str) -> int:
    """Prints each package's figures; 1 when one is below the floor."""
    report = json.loads(Path(path).read_text())
    below = False
    for package in PACKAGES:
        lines, branches = reached(report, package)
        print(f"{package:<18} {lines:6.2f} % of lines, {branches:6.2f} % of branches")
        below |= min(lines, branches) < FLOOR
    if below:
        print(f"error: the floor is {FLOOR:g} % of both.", file=sys.stderr)
    return int(below)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
