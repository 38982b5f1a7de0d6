"""`python -m todo_auth doctor URL`: the doctor on a command line.

Task: T-035 · Spec: plan.md#doctor
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

from todo_auth.doctor import Finding, examine
from todo_auth.doctor.finding import Level

_MARKS: dict[Level, tuple[str, str]] = {"ok": ("✓", "ok "), "warning": ("!", "!  "), "problem": ("✗", "x  ")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives the exit code: 0 nothing wrong, 1 a problem found. Wrong usage exits with 2."""
    options = _parser().parse_args(arguments)
    secret = None
    if options.secret_env is not None and not (secret := os.environ.get(options.secret_env)):
        print(f"error: the environment has no {options.secret_env}", file=sys.stderr)
        return 2
    # The doctor says itself what the library would log.
    logging.getLogger("todo_auth").addHandler(logging.NullHandler())
    findings = asyncio.run(
        examine(
            options.url,
            token=sys.stdin.read() if options.token == "-" else options.token,
            issuer=options.issuer,
            audience=options.audience,
            jwks_url=options.jwks_url,
            secret=secret,
        )
    )
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings, sys.stdout)
    return 1 if any(finding.level == "problem" for finding in findings) else 0


def show(findings: Sequence[Finding], stream: TextIO) -> None:
    """Prints a line a finding, and its hint below; in ASCII where the stream cannot show more."""
    plain = not _can_show("✓✗…", stream)
    for finding in findings:
        mark = _MARKS[finding.level][plain]
        print(f"{mark} {finding.text}".replace("…", "..." if plain else "…"), file=stream)
        if finding.hint:
            print(f"{' ' * len(mark)} {finding.hint}", file=stream)


def _can_show(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m todo_auth")
    commands = parser.add_subparsers(required=True, metavar="doctor")
    doctor = commands.add_parser("doctor", help="what is wrong between an application and its issuer")
    doctor.add_argument("url", metavar="URL", help="BETTER_AUTH_URL or NEON_AUTH_BASE_URL")
    doctor.add_argument(
        "--token", metavar="T", help="what the application sends; - reads it from standard input"
    )
    doctor.add_argument("--issuer", help="BETTER_AUTH_ISSUER, where it is set")
    doctor.add_argument(
        "--audience", action="append", help="BETTER_AUTH_AUDIENCE, where it is set; may be repeated"
    )
    doctor.add_argument("--jwks-url", help="BETTER_AUTH_JWKS_URL, where it is set")
    doctor.add_argument(
        "--secret-env", metavar="NAME", help="the environment variable with the shared secret (HS256)"
    )
    doctor.add_argument("--json", action="store_true", help="findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
