"""The environment of the stack, read once and checked before anything starts.

Task: T-004 · Spec: plan.md#processes
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from todo_stack.errors import StackError

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: the stack runs from one, and only there."""
MIN_SECRET_BYTES = 32
"""RFC 7518 §3.2: an HS256 key is at least as long as its hash."""


@dataclass(frozen=True)
class Settings:
    """What decides how the stack starts. `environment` is everything the parts inherit."""

    environment: Mapping[str, str]
    data_dir: Path
    gateway_port: int
    tasks_port: int
    web_port: int
    ready_file: Path | None

    @classmethod
    def load(cls, environ: Mapping[str, str], root: Path = ROOT) -> "Settings":
        """Read `environ` and, outside of production, `.env` in `root`, over which `environ` wins.

        An empty value is an unset one, so that `NAME=` on a command line hides what the file says.

        Raises `StackError` with one sentence a problem, all at once, without values that may be secret.
        """
        file = {} if environ.get("ENV") == "production" else dotenv_values(root / ".env")
        environment = {name: value for name, value in {**file, **environ}.items() if value}
        problems: list[str] = []

        def port(setting: str, default: int) -> int:
            text = environment.get(setting, str(default))
            if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
                return int(text)
            problems.append(f"{setting} is not a port: it takes a number from 1 to 65535.")
            return default

        ports = {
            "GATEWAY_PORT": port("GATEWAY_PORT", 8000),
            "TASKS_PORT": port("TASKS_PORT", 8001),
            "WEB_PORT": port("WEB_PORT", 3000),
        }
        if not problems and len(set(ports.values())) < len(ports):
            problems.append(f"{', '.join(ports)} must be three different ports.")
        # Several while one is rotated out, with commas between them.
        identity_secret = environment.get("IDENTITY_SECRET")
        if identity_secret and any(
            len(secret.strip().encode()) < MIN_SECRET_BYTES for secret in identity_secret.split(",")
        ):
            problems.append(
                f"IDENTITY_SECRET is too short: it takes at least {MIN_SECRET_BYTES} bytes "
                "(openssl rand -base64 32); leave it out for one that is made and kept."
            )
        issuer_set = environment.keys() & {"BETTER_AUTH_URL", "NEON_AUTH_BASE_URL"}
        if len(issuer_set) == 2:
            problems.append(
                "BETTER_AUTH_URL and NEON_AUTH_BASE_URL are both set: set the one that signs tokens."
            )
        if environment.get("ENV") == "production" and not issuer_set:
            problems.append(
                "ENV=production and neither BETTER_AUTH_URL nor NEON_AUTH_BASE_URL is set: "
                "the identity providers that the stack starts are for development."
            )
        ready_file = environment.get("TODO_READY_FILE")
        if ready_file and not Path(ready_file).absolute().parent.is_dir():
            problems.append("TODO_READY_FILE is in a directory that does not exist.")
        if problems:
            raise StackError("\n".join(problems))
        return cls(
            environment=environment,
            data_dir=(root / environment.get("TODO_DATA_DIR", ".data")).absolute(),
            gateway_port=ports["GATEWAY_PORT"],
            tasks_port=ports["TASKS_PORT"],
            web_port=ports["WEB_PORT"],
            ready_file=Path(ready_file) if ready_file else None,
        )
