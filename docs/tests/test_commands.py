"""Every command of a page is run, in the order of the page and in one shell.

Programs that need a cluster, an account or Docker are noted instead, and judged by what can be known without.

Task: T-060 · Spec: plan.md#documentation
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from todo_gateway.settings import GatewaySettings
from todo_stack.settings import ROOT
from todo_tasks import distribution
from todo_tasks.settings import TasksSettings

# The whole is started here, on machines that may have much else to do.
pytestmark = pytest.mark.timeout(600)

MANIFESTS = ROOT / "deploy" / "kubernetes"
CITUS = "docs/distributed.md"
"""Its SQL is for a cluster; a test below compares it with what the command runs there."""
FUNCTIONS = """
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
todo-tasks() {  # where there is no cluster, the command has to say so
  [ "$*" = "migrate --distribute" ] || { command todo-tasks "$@"; return; }
  local said
  ! said=$(command todo-tasks "$@" 2>&1)
  grep --quiet "not on a Citus cluster" <<<"$said"
}
until_ready() {  # a service, started as the page says, asked until it answers, and told to end
  local port=$GATEWAY_PORT
  [ "$1" = todo-gateway ] || port=$TASKS_PORT
  env "$1" serve &
  local process=$!
  until curl -sf "http://127.0.0.1:$port/healthz"; do kill -0 $process; sleep 0.05; done
  kill -TERM $process
  wait $process
}
"""


@pytest.mark.shows("sh", "sql")
def test_every_command_of_a_page_works_in_the_order_of_the_page(page: Any, stack: Any, desk: Any) -> None:
    for _, text in page.blocks("toml"):
        if "[[route]]" in text:
            (desk.path / "routes.toml").write_text(text)
    script = FUNCTIONS
    for language, text in page.blocks("sh", "sql"):
        if language == "sql" and page.name == CITUS:
            continue
        if language == "sql":
            text = f'psql --quiet --set=ON_ERROR_STOP=1 "$ADMIN_URL" <<"SQL"\n{text}SQL\n'
        script += re.sub(r"^(todo-\w+) serve$", r"until_ready \1", text, flags=re.MULTILINE)
    desk.run(desk.addressed(stack.addressed(script)))
    for program, *arguments in desk.noted():
        JUDGES[program](arguments)


class Cluster:
    """A connection to Citus with nothing distributed yet, as far as is asked; keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def scalar(self, query: Any, _: Any = None) -> object:
        """No, nothing yet; only Better Auth's table is there, its ids being texts."""
        return "text" if "format_type" in str(query) else 0

    def execute(self, statement: Any) -> None:
        """Keeps the statement."""
        self.told.append(str(statement))


def test_the_statements_for_a_cluster_are_those_that_the_command_runs(pages: Any) -> None:
    cluster = Cluster()
    distribution._distribute(cluster)  # type: ignore[arg-type]  # all that it needs of a connection
    [(_, shown)] = pages[CITUS].blocks("sql")
    assert [f"{statement};" for statement in cluster.told] == shown.strip().splitlines()


@pytest.mark.parametrize("script", ["todo-tasks chekc", "X=$(false)", 'curl -sf "http://127.0.0.1:1/"'])
def test_a_command_that_fails_is_noticed(script: str, desk: Any) -> None:
    with pytest.raises(AssertionError):
        desk.run(f"{script}\ntrue")


@pytest.mark.parametrize(
    "noted",
    [
        ["dev", "upp"],
        ["dev", "up", "--port", "1"],
        ["docker", "compose", "start"],
        ["docker", "build", "--file", "services/Dockerfile", "--target", "web", "."],
        ["kubectl", "-n", "todo", "rollout", "status", "deployment/web"],
        [
            "kubectl",
            "-n",
            "todo",
            "create",
            "secret",
            "generic",
            "gateway",
            "--from-literal=identity_secret=",
        ],
        ["kubectl", "-n", "todo", "create", "secret", "generic", "gateway", "--from-literal=identity=x"],
        ["kubectl", "apply", "-f", "deploy/kubernetes/none.yaml"],
        ["helm", "upgrade", "x", "y", "--values", "deploy/kubernetes/gateway.yaml"],
        ["neonctl", "branch", "create"],
        ["pip", "install", "./libs/auth[fastapy]"],
    ],
    ids=" ".join,
)
def test_a_command_that_is_only_judged_can_be_wrong(noted: list[str]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        JUDGES[noted[0]](noted[1:])


def _dev(arguments: list[str]) -> None:
    """The session is there, and what it is told is among its options; other tests run each of them."""
    name, *options = arguments
    listed = subprocess.run(
        [sys.executable, ROOT / "dev", "--help"], capture_output=True, text=True, check=True
    )
    assert name in re.findall(r"^  ([a-z0-9-]+) ", listed.stdout, re.MULTILINE)
    if options:
        command = [sys.executable, "-m", f"todo_{'bench' if name == 'bench' else 'stack'}"]
        command += [] if name == "bench" else [name]
        known = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        assert {option for option in options if option.startswith("--")} <= set(
            re.findall(r"--[a-z-]+", known)
        )


def _docker(arguments: list[str]) -> None:
    """Files, stages and services are there; the end-to-end tests build and start them."""
    if arguments[0] == "build":
        options = dict(zip(arguments[1:-1:2], arguments[2:-1:2], strict=True))
        file = (ROOT / arguments[-1] / options["--file"]).read_text()
        assert re.search(rf"^FROM \S+ AS {options['--target']}$", file, re.MULTILINE)
        [version] = re.findall(
            r'^VERSION = "(.+)"$', (ROOT / "libs" / "version.py").read_text(), re.MULTILINE
        )
        assert options["--tag"].endswith(f"/todo-{options['--target']}:{version}")
        return
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    profiles = {name for service in composed["services"].values() for name in service.get("profiles", [])}
    assert arguments[0] == "compose"
    rest = iter(arguments[1:])
    for word in rest:
        if word == "--profile":
            assert next(rest) in profiles
        elif word == "-f":
            assert (ROOT / next(rest)).is_file()
        elif not word.startswith("-"):
            break
    assert word in {"up", "down", "logs", "ps", "exec", "run", "build", "pull", "restart", "config"}
    services = [word for word in rest if not word.startswith("-")][: None if word != "exec" else 1]
    assert set(services) <= set(composed["services"])


def _kubectl(arguments: list[str]) -> None:
    """Everything that is named stands in the manifests, and Secrets hold what the services take."""
    words = [word for word in arguments if word not in ("-n", "todo")]
    kinds = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests()}
    match words:
        case ["apply", "-f", file]:
            assert (ROOT / file).is_file()
        case ["apply", "-k", folder, *selector]:
            assert (ROOT / folder / "kustomization.yaml").is_file()
            assert not selector or selector[0] == "-l" and selected(selector[1])
        case ["create", "secret", "generic", name, *files]:
            keys = re.findall(r"^--from-file=(\w+)(?:=\w+)?$", "\n".join(files), re.MULTILINE)
            model = GatewaySettings if name == "gateway" else TasksSettings
            assert len(keys) == len(files) and set(keys) <= set(model.model_fields)
            assert {("Deployment", name), ("Job", name)} & set(kinds)
        case ["delete", "job", name, "--ignore-not-found"]:
            assert ("Job", name) in kinds
        case ["wait", "--for=condition=complete", _, target] | ["rollout", "status" | "restart", target]:
            kind, _, name = target.partition("/")
            assert (kind.capitalize(), name) in kinds
        case ["get", "--raw", path]:
            metrics = yaml.safe_load((MANIFESTS / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
            assert path.rpartition("/")[2] in {rule["name"]["as"] for rule in metrics}
        case _:
            pytest.fail(f"kubectl {arguments}: nobody judges that")


def manifests() -> list[dict[str, Any]]:
    """Those that are applied; their own tests say whether they are valid."""
    names = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    return [each for name in names for each in yaml.safe_load_all((MANIFESTS / name).read_text()) if each]


def selected(selector: str) -> list[str]:
    """The kinds of what a selector finds in the manifests."""
    name, _, value = selector.partition("=")
    found = [each for each in manifests() if each["metadata"].get("labels", {}).get(name) == value]
    return [each["kind"] for each in found]


def _helm(arguments: list[str]) -> None:
    """The values are the chart's."""
    file = ROOT / arguments[arguments.index("--values") + 1]
    assert list(yaml.safe_load_all(file.read_text()))[0]["rules"]["custom"]


def _neonctl(arguments: list[str]) -> None:
    """It needs an account: what it answers is the address of the page's own database."""
    assert (
        arguments[:2] in (["branches", "create"], ["branches", "delete"])
        or arguments[0] == "connection-string"
    )


def _pip(arguments: list[str]) -> None:
    """Each folder is a package, with that extra; `./dev dist` installs them."""
    command, *packages = arguments
    assert command == "install" and packages
    for package in packages:
        path, extra = re.fullmatch(r"([\w./-]+)(?:\[(\w+)\])?", package).groups()  # type: ignore[union-attr]
        project = tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"]
        assert extra is None or extra in project["optional-dependencies"]


JUDGES: Mapping[str, Callable[[list[str]], None]] = {
    "dev": _dev,
    "docker": _docker,
    "helm": _helm,
    "kubectl": _kubectl,
    "neonctl": _neonctl,
    "pip": _pip,
}
