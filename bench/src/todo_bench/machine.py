"""What the figures were taken on: machine, versions, load.

Task: T-032 · Spec: plan.md#yardstick
"""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psycopg2

_PACKAGES = ("fastapi", "uvicorn", "uvloop", "httpx", "sqlmodel", "asyncpg", "pyjwt")


def describe(database_url: str) -> dict[str, str]:
    """The machine and the versions of everything that takes part, by name."""
    database = psycopg2.connect(database_url)
    with database.cursor() as cursor:
        cursor.execute("SHOW server_version")
        row = cursor.fetchone()
    database.close()
    tools = {
        "Node": _printed("node", "--version"),
        "HAProxy": _printed("haproxy", "-v"),
        "wrk": _printed("wrk", "--version"),
    }
    return {
        **computer(),
        "PostgreSQL": row[0] if row else "?",
        **{name: found for name, found in tools.items() if found},
        **{name: version(name) for name in _PACKAGES},
    }


def computer() -> dict[str, str]:
    """The machine, its load and Python, by name."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*: (.+)$", information.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _printed(command: str, option: str) -> str | None:
    """The first version number that a command prints, or None where it is not installed."""
    if shutil.which(command) is None:
        return None
    # wrk prints its version together with its usage, and exits with 1.
    done = subprocess.run([command, option], capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"
