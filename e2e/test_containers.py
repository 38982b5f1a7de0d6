"""What the containers may do, what they hold, and what they say without secrets.

Task: T-056 · Spec: plan.md#compose
"""

import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from todo_stack.compose import TAG, docker, inspect, logs, wait_until
from todo_stack.settings import ROOT

pytestmark = pytest.mark.timeout(900)  # The first test waits for the images.

SERVICES = ("postgres", "redis", "web", "migrate", "tasks", "gateway")
SERVICE_IMAGE_BYTES = 200_000_000


def _moment(text: str) -> datetime:
    """A time of the engine's, which has nanoseconds, to microseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text))


def _started(container: str) -> datetime:
    """When a service has said that it serves."""
    said = next(line for line in logs(container).splitlines() if "Application startup complete" in line)
    return datetime.fromisoformat(json.loads(said)["time"])


def _refused(image: str, *command: str) -> tuple[int, str]:
    """Run an image without any setting. Returns its exit status and what it says."""
    ran = subprocess.run(["docker", "run", "--rm", image, *command], capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_rights_that_it_does_not_need(stack: Any, service: str) -> None:
    container = inspect(stack.project.container(service))
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Init"] is True
    assert 0 < host["Memory"] <= 512 * 2**20
    assert 0 < host["PidsLimit"] <= 256
    assert container["Config"]["User"] not in ("", "0", "root")


def test_no_process_is_roots(stack: Any) -> None:
    for container in stack.project.containers():
        if inspect(container)["State"]["Running"]:
            users = docker("top", container, "-eo", "pid,uid").split()[3::2]
            assert users and "0" not in users


def test_only_the_page_and_the_gateway_are_published(stack: Any) -> None:
    published = {
        service
        for service in SERVICES
        if any(inspect(stack.project.container(service))["HostConfig"]["PortBindings"].values())
    }
    assert published == {"web", "gateway"}


def test_a_secret_is_never_in_docker_inspect_nor_in_the_logs(stack: Any) -> None:
    folder = Path(stack.project.environment["TODO_SECRETS_DIR"])
    secrets = {file.name: file.read_text().strip() for file in folder.iterdir()}
    assert len(secrets) == 5
    containers = stack.project.containers()
    images = {inspect(container)["Image"] for container in containers}
    shown = docker("inspect", *containers) + docker("inspect", *images) + stack.project.logs()
    shown += "".join(docker("history", "--no-trunc", image) for image in images)
    assert "identity_secret" in shown, "where it is may be shown"
    assert [name for name, value in secrets.items() if value in shown] == []


def test_the_services_images_are_small_and_hold_no_tools(stack: Any) -> None:
    for service in ("gateway", "tasks", "web"):
        container = stack.project.container(service)
        size = json.loads(docker("image", "inspect", inspect(container)["Image"]))[0]["Size"]
        print(f"\n{service}: {size / 1e6:.0f} MB", end="")
        if service != "web":
            assert size < SERVICE_IMAGE_BYTES
            took = _started(container) - _moment(inspect(container)["State"]["StartedAt"])
            print(f", serves {took.total_seconds():.1f} s after its start", end="")
        tools = "command -v uv gcc strip npm npx git curl || true"
        assert docker("exec", container, "sh", "-c", tools) == ""


def test_the_database_of_the_services_role_is_its_own_and_it_is_no_superuser(stack: Any) -> None:
    question = (
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolname = pg_get_userbyid(datdba) "
        "FROM pg_roles, pg_database WHERE rolname = 'todo' AND datname = 'todo'"
    )
    psql = ["psql", "--username=postgres", "--no-align", "--tuples-only", f"--command={question}"]
    assert docker("exec", stack.project.container("postgres"), *psql).strip() == "f|f|f|t"


def test_without_secrets_compose_says_what_makes_them(engine: None) -> None:
    command = ["docker", "compose", "--env-file", os.devnull, "up", "--wait"]
    environment = {name: value for name, value in os.environ.items() if name != "TODO_SECRETS_DIR"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "no secrets yet, run ./dev compose-env" in ran.stderr


def test_with_neon_no_database_runs_here_and_the_page_has_no_way_to_the_tasks_service_either(
    engine: None,
) -> None:
    files = ["--file=docker-compose.yml", "--file=deploy/neon/docker-compose.yml"]
    command = ["docker", "compose", "--env-file", os.devnull, *files, "config", "--format=json"]
    environment = {**os.environ, "TODO_SECRETS_DIR": "/somewhere"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    services = json.loads(ran.stdout)["services"]
    assert services.keys() == {"web", "migrate", "tasks", "gateway"}
    assert services["web"]["networks"].keys() & services["tasks"]["networks"].keys() == set()
    handed = {secret["source"] for secret in services["migrate"]["secrets"]}
    assert handed == {"database_url", "database_direct_url"}


def test_a_service_without_its_settings_ends_and_names_them(stack: Any) -> None:
    for image, names in (
        (f"todo-gateway:{TAG}", ["IDENTITY_SECRET"]),
        (f"todo-tasks:{TAG}", ["IDENTITY_SECRET", "DATABASE_URL"]),
    ):
        status, said = _refused(image)
        assert status == 2
        for name in names:
            assert f"error: {name} is not set." in said
    status, said = _refused(f"todo-tasks:{TAG}", "migrate")
    assert status == 2 and "DATABASE_URL is not set." in said
    status, said = _refused(f"todo-web:{TAG}")
    assert status == 1
    assert "DATABASE_URL must be" in said and "BETTER_AUTH_SECRET must have" in said


def test_one_image_serves_with_as_many_processes_as_workers_says(stack: Any, tmp_path: Path) -> None:
    settings = {"BETTER_AUTH_URL": "http://issuer.test", "WORKERS": "2"}
    secret = tmp_path / "identity_secret"
    secret.write_text("a secret of this test and of no other\n")
    secret.chmod(0o444)
    words = [f"--env={name}={value}" for name, value in settings.items()]
    mount = f"--mount=type=bind,src={secret},dst=/run/secrets/identity_secret,ro"
    hardened = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--init"]
    container = docker("run", "--detach", *hardened, *words, mount, f"todo-gateway:{TAG}").strip()
    try:

        def both_serve() -> bool:
            assert inspect(container)["State"]["Running"], logs(container)
            return logs(container).count("Application startup complete") == 2

        wait_until("two workers serve", both_serve)
        docker("stop", "-t", "30", container)
        assert inspect(container)["State"]["ExitCode"] == 0
    finally:
        docker("rm", "--force", container)
