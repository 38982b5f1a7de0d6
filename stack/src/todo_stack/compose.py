"""docker-compose.yml as a project of its own, beside whatever else runs, for tests that use it from outside.

Task: T-057 · Spec: plan.md#end-to-end
"""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from todo_stack import compose_env
from todo_stack.errors import StackError
from todo_stack.settings import ROOT

SCALED = ROOT / "deploy" / "haproxy" / "docker-compose.yml"
TAG = "e2e"
"""The images' tag: those of a running stack stay as they are."""
PATIENCE_S = 180.0
_INHERITED = ("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR")


def engine_problem() -> str | None:
    """Why no Docker engine can be used here, in a sentence; None where one answers."""
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "Docker is not there: `docker info` cannot be run."
    return None if asked.returncode == 0 else "No Docker engine runs: `docker info` fails."


def docker(*arguments: str) -> str:
    """Run `docker` and return what it says. Raises StackError with its words where it fails."""
    return _run(["docker", *arguments], None, True)


@dataclass(frozen=True)
class Project:
    """The compose project `name`. `environment` is all that its files are filled with: neither the shell's
    nor `.env`'s values get in.
    """

    name: str
    environment: Mapping[str, str]

    def compose(self, *arguments: str, scaled: bool = False, check: bool = True) -> str:
        """Run `docker compose` for this project and return what it says; `scaled`: with HAProxy before it.

        Raises StackError with its words where it fails and `check`.
        """
        files = [ROOT / "docker-compose.yml", *([SCALED] if scaled else [])]
        command = ["docker", "compose", "--project-name", self.name, "--env-file", os.devnull]
        command += ["--project-directory", str(ROOT), *(f"--file={file}" for file in files), *arguments]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _INHERITED or name.startswith(("DOCKER_", "BUILDX_"))
        }
        return _run(command, {**inherited, **self.environment}, check)

    def build(self) -> None:
        """Build the images whose sources have changed, HAProxy's too."""
        self.compose("build", scaled=True)

    def up(self, *, scaled: bool = False) -> None:
        """Start what does not run as the files say, and wait until all of it is healthy."""
        wait = ["--wait", f"--wait-timeout={PATIENCE_S:.0f}"]
        arguments = ["up", "--detach", "--remove-orphans", "--quiet-pull", *wait]
        try:
            self.compose(*arguments, scaled=scaled)
        except StackError as error:
            raise StackError(f"{error}\n{self.logs()}") from None

    def down(self) -> None:
        """End and remove everything, data included."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=5", scaled=True)

    def containers(self, service: str | None = None) -> list[str]:
        """The ids of the containers of a service, or of all; those that have ended as well."""
        return self.compose("ps", "--all", "--quiet", *([service] if service else []), scaled=True).split()

    def container(self, service: str) -> str:
        """The id of a service's only container."""
        (container,) = self.containers(service)
        return container

    def logs(self) -> str:
        """What the containers have said."""
        return self.compose("logs", "--no-color", "--timestamps", scaled=True, check=False)


def inspect(container: str) -> dict[str, Any]:
    """What the engine says of a container."""
    (found,) = json.loads(docker("inspect", container))
    assert isinstance(found, dict)
    return found


def logs(container: str, since: str = "") -> str:
    """What a container has said, from the moment `since` on."""
    command = ["docker", "logs", f"--since={since}", container]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until `holds()`. Raises StackError that names `what`, after three minutes."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > give_up_at:
            raise StackError(f"In {PATIENCE_S:.0f} s it has not come to this: {what}.")
        time.sleep(0.1)


def wait_until_healthy(container: str) -> None:
    """Wait until a container runs and its health check succeeds. Raises StackError, after three minutes."""
    status = ["inspect", "--format", "{{.State.Health.Status}}", container]
    wait_until("the container is healthy", lambda: docker(*status).strip() == "healthy")


def _run(command: list[str], environment: Mapping[str, str] | None, check: bool) -> str:
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    if check and ran.returncode:
        raise StackError(f"`{' '.join(command)}` fails:\n{ran.stdout}{ran.stderr[-6000:]}")
    return ran.stdout


def make_project(directory: Path, **environment: str) -> Project:
    """A project with secrets of its own in `directory`. Its name is this checkout's, so that what is left of
    a run that was killed is found again.
    """
    compose_env.make(directory)
    secrets = {"TODO_SECRETS_DIR": str(directory / compose_env.FOLDER)}
    name = f"todo-e2e-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    return Project(name, {**secrets, "TODO_VERSION": TAG, **environment})
