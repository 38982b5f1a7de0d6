"""Asks pip-audit for known vulnerabilities of what the locks pin; believes a "none" only where it was asked.

`python release/audit.py LOCK ...`. Where PyPI's vulnerability data cannot be reached, by way of some mirrors
for instance, pip-audit skips what it cannot ask about and ends well. Hence the question about a version whose
vulnerabilities everybody knows, which comes first.

Task: T-061 · Spec: plan.md#hygiene
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KNOWN = ("jinja2", "2.11.2")
"""A version with vulnerabilities: CVE-2020-28493, and later ones."""


def judge(report: dict[str, Any], known: tuple[str, str] | None = None) -> list[str]:
    """Why pip-audit's JSON report is not good, one sentence each; empty when it is.

    `known`: a version that the report must find vulnerable, or it tells nothing.
    """
    dependencies = report["dependencies"]
    skipped = [one["name"] for one in dependencies if "skip_reason" in one]
    found = {(one["name"], one["version"]): one["vulns"] for one in dependencies if one.get("vulns")}
    sentences = []
    if skipped:
        sentences.append(
            f"Could not ask about {len(skipped)} of {len(dependencies)} packages ({skipped[0]}, for one): "
            "this machine's package index does not serve PyPI's vulnerability data. Nothing is known of them."
        )
    elif known and not found.pop(known, None):
        sentences.append(
            f"Nothing is known to be wrong with {' '.join(known)}, so the answers are worth nothing."
        )
    for (name, version), vulnerabilities in found.items():
        ids = ", ".join(vulnerability["id"] for vulnerability in vulnerabilities)
        fixes = sorted({fix for vulnerability in vulnerabilities for fix in vulnerability["fix_versions"]})
        sentences.append(f"{name} {version}: {ids}; fixed in {', '.join(fixes) or 'no version yet'}.")
    return sentences


def ask(*options: str) -> dict[str, Any]:
    """Run pip-audit on pinned requirements, and return its report; SystemExit where it makes none."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "report.json")
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--disable-pip",
            "--progress-spinner=off",
            "--format=json",
        ]
        ended = subprocess.run(
            [*command, f"--output={output}", *options], capture_output=True, text=True, check=False
        )
        if not output.exists():
            raise SystemExit(f"error: pip-audit could not ask at all:\n{ended.stderr[-2000:]}")
        report: dict[str, Any] = json.loads(output.read_text())
        return report


def main(locks: list[str]) -> int:
    """Prints what is wrong; 1 when something is."""
    with tempfile.TemporaryDirectory() as folder:
        pin = Path(folder, "known.txt")
        pin.write_text("==".join(KNOWN) + "\n")
        sentences = judge(ask("--no-deps", f"--requirement={pin}"), KNOWN)
    for lock in locks:
        sentences += [f"{lock}: {one}" for one in judge(ask("--require-hashes", f"--requirement={lock}"))]
    for sentence in sentences:
        print(f"error: {sentence}", file=sys.stderr)
    return int(bool(sentences))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
