"""Every developer command, one session each; `./dev NAME …` runs `nox -s NAME -- …`.

Task: T-001 · Spec: plan.md#two-commands
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["test", "lint", "types"]

ROOT = Path(__file__).parent
LOCK = "requirements.lock"
AUTH, SERVICE, GATEWAY, TASKS, STACK = (
    "libs/auth[fastapi]",
    "libs/service[otel]",
    "services/gateway[otel]",
    "services/tasks[otel]",
    "stack",
)
BENCH = "bench"
EVERYTHING = (AUTH, SERVICE, GATEWAY, TASKS, STACK)
SOURCES = (
    *("dev", "noxfile.py", "libs", "services", "stack", "specs", "web/tests"),
    *("bench", "docs", "deploy", "release", "e2e"),
)


def install(session: nox.Session, *packages: str, groups: tuple[str, ...] = ("test",)) -> None:
    """Install `packages` editable, and their dependencies at the versions and hashes of the lock.

    Remembered by what decides the outcome, so that a repeat costs nothing.
    """
    projects = [Path(package.partition("[")[0]) / "pyproject.toml" for package in packages]
    inputs = [Path(LOCK), Path("pyproject.toml"), Path("libs/version.py"), *projects]
    state = hashlib.sha256(repr((sys.version, packages, groups)).encode())
    for file in inputs:
        state.update(file.read_bytes())
    stamp = Path(session.virtualenv.location) / "installed"
    if stamp.exists() and stamp.read_text() == state.hexdigest():
        return
    editables = [f"--editable={package}" for package in packages]
    wanted = [*(f"--group={group}" for group in groups), *editables]
    try:
        session.install("--quiet", "--exact", f"--constraints={LOCK}", f"--build-constraints={LOCK}", *wanted)
    except nox.command.CommandFailed:
        session.error("The first run of a command needs the network: uv cannot install what it says above.")
    frozen = session.run("uv", "pip", "freeze", "--exclude-editable", external=True, silent=True, log=False)
    locked = set(re.findall(r"^[a-z0-9-]+", Path(LOCK).read_text(), re.MULTILINE))
    loose = set(re.findall(r"^[a-z0-9-]+", str(frozen), re.MULTILINE)) - locked
    if loose:
        session.error(f"{LOCK} does not hold {', '.join(sorted(loose))}: run ./dev lock.")
    stamp.write_text(state.hexdigest())


def pytest(session: nox.Session, *paths: str, at_once: bool = False) -> None:
    """Run the tests in `paths` with the session's own options. `at_once`: as many files of them at a time as
    there are cores, each process with its own PostgreSQL; not where the options choose among them.
    """
    options = session.posargs or (("--numprocesses=auto", "--dist=loadfile") if at_once else ())
    session.run("python", "-m", "pytest", *paths, *options)


@nox.session
def auth(session: nox.Session) -> None:
    """Tests of libs/auth alone."""
    install(session, AUTH)
    pytest(session, "libs/auth/tests", at_once=True)


@nox.session
def service(session: nox.Session) -> None:
    """Tests of libs/service alone."""
    install(session, SERVICE)
    pytest(session, "libs/service/tests", at_once=True)


@nox.session
def gateway(session: nox.Session) -> None:
    """Tests of the gateway, with the libraries it stands on."""
    install(session, GATEWAY, AUTH, SERVICE)
    pytest(session, "services/gateway/tests", at_once=True)


@nox.session
def tasks(session: nox.Session) -> None:
    """Tests of the tasks service, with the libraries it stands on and a real PostgreSQL."""
    install(session, TASKS, AUTH, SERVICE, STACK)
    pytest(session, "services/tasks/tests", at_once=True)


@nox.session
def stack(session: nox.Session) -> None:
    """Tests of the whole: processes, ports, signals, the demo."""
    install(session, *EVERYTHING)
    pytest(session, "stack/tests")


@nox.session
def web(session: nox.Session) -> None:
    """The page in a real browser, on the whole stack; skipped where there is no Node or no Chromium."""
    browsers = ("chromium", "chromium-browser", "google-chrome")
    if not shutil.which("node"):
        session.skip("Node is not on PATH")
    if not os.environ.get("CHROMIUM") and not any(map(shutil.which, browsers)):
        session.skip("no Chromium is installed (apt install chromium, or set CHROMIUM)")
    install(session, *EVERYTHING, groups=("test", "web"))
    pytest(session, "web/tests")


@nox.session
def contract(session: nox.Session) -> None:
    """Generated requests against the whole, judged by the OpenAPI document; `CONTRACT_EXAMPLES` a case."""
    install(session, *EVERYTHING, groups=("test", "contract"))
    pytest(session, "stack/contract")


@nox.session
def faults(session: nox.Session) -> None:
    """The long forms of the fault tests: a minute of restarts, slow clients, an upload of 1 GB."""
    install(session, *EVERYTHING)
    session.env.update({"RESTART_SECONDS": "60", "SLOW_SECONDS": "15", "UPLOAD_MIB": "1024"})
    pytest(session, "-s", "services/gateway/tests/faults", "stack/tests/restarts")


@nox.session
def crash(session: nox.Session) -> None:
    """Twenty rounds of writes while service, database and proxy are killed; `CRASH_ROUNDS`, `CRASH_SEED`."""
    install(session, TASKS, AUTH, SERVICE, STACK)
    session.env.setdefault("CRASH_ROUNDS", os.environ.get("CRASH_ROUNDS", "20"))
    pytest(session, "-s", "services/tasks/tests/crash")


@nox.session
def distributed(session: nox.Session) -> None:
    """The contract on a real cluster, the Citus at `DISTRIBUTED_URL`, in schemas of the tests' own."""
    if not os.environ.get("DISTRIBUTED_URL"):
        session.error("DISTRIBUTED_URL is not set: it names a database with the extension citus.")
    install(session, TASKS, AUTH, SERVICE, STACK)
    pytest(session, "services/tasks/tests/distributed")


@nox.session
def plans(session: nox.Session) -> None:
    """What every list reads, on a million tasks; `PLAN_TASKS`."""
    install(session, TASKS, AUTH, SERVICE, STACK)
    session.env.setdefault("PLAN_TASKS", os.environ.get("PLAN_TASKS", "1000000"))
    pytest(session, "--timeout=900", "services/tasks/tests/test_plans.py")


@nox.session
def mutants(session: nox.Session) -> None:
    """Small changes to the verifier, in a copy, that its tests must notice; with names, those once more."""
    install(session, AUTH, groups=("test", "mutants"))
    copy = Path(session.create_tmp()).resolve() / "auth"
    if not session.posargs:
        shutil.rmtree(copy, ignore_errors=True)  # With the verdicts that other tests gave.
    ignored = shutil.ignore_patterns("__pycache__", "mutants")
    shutil.copytree("libs/auth", copy, ignore=ignored, dirs_exist_ok=True)
    session.chdir(copy)
    session.run("nice", "mutmut", "run", "--max-children", "2", *session.posargs, external=True)
    session.run("mutmut", "results")
    session.run("mutmut", "export-cicd-stats", silent=True)
    counts = json.loads(Path("mutants", "mutmut-cicd-stats.json").read_text())
    missed = counts["total"] - counts["killed"] - counts["timeout"]
    session.log(f"{missed} of {counts['total']} mutants went unnoticed (libs/auth/tests/MUTANTS.md).")
    if not session.posargs and missed * 20 > counts["total"]:
        session.error("They are more than one in twenty.")


@nox.session
def docs(session: nox.Session) -> None:
    """Every command and piece of code in the documentation, and the Kubernetes manifests."""
    install(session, *EVERYTHING, groups=("test", "docs"))
    pytest(session, "docs/tests", "deploy/kubernetes/tests")


@nox.session
def specs(session: nox.Session) -> None:
    """Specification, tasks, code, versions and workflows name each other rightly."""
    install(session, groups=("test", "sbom"))
    pytest(session, "specs", "release/tests")


@nox.session
def bench(session: nox.Session) -> None:
    """The product beside its peers; `./dev bench --help`. Its environment is its own: peers need more."""
    install(session, *EVERYTHING, BENCH, groups=())
    session.run("python", "-m", "todo_bench", *session.posargs)


@nox.session(name="bench-tests")
def bench_tests(session: nox.Session) -> None:
    """Tests of the yardstick itself."""
    install(session, *EVERYTHING, BENCH)
    pytest(session, "bench/tests")


@nox.session(venv_backend="none")
def test(session: nox.Session) -> None:
    """Every part's tests, one part after the other, against a real PostgreSQL."""
    for name in ("auth", "service", "gateway", "tasks", "stack", "bench-tests", "specs", "docs", "web"):
        session.notify(name, session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """black and flake8; Dockerfiles, compose file and workflows by linters of theirs; without the network."""
    install(session, groups=("lint",))
    session.run("black", "--check", "--quiet", "--diff", *SOURCES)
    session.run("flake8", *SOURCES)
    session.run("hadolint", "services/Dockerfile", "web/Dockerfile", "deploy/haproxy/Dockerfile")
    session.run("compose-lint", "check", "--fail-on=low", "docker-compose.yml", silent=True)
    check_schema(session, "github-workflows", ".github/workflows")
    check_schema(session, "github-issue-forms", ".github/ISSUE_TEMPLATE", besides=("config.yml",))
    check_schema(session, "dependabot", ".github")
    session.run("zizmor", "--offline", "--quiet", "--persona=pedantic", "--no-progress", ".github")


def check_schema(session: nox.Session, kind: str, folder: str, besides: tuple[str, ...] = ()) -> None:
    """Judge the YAML files of a folder by GitHub's schema of their kind."""
    files = sorted(str(file) for file in Path(folder).glob("*.yml") if file.name not in besides)
    session.run("check-jsonschema", "--quiet", f"--builtin-schema=vendor.{kind}", *files)


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict, tests included."""
    install(session, *EVERYTHING, BENCH, groups=("test", "web", "docs", "build", "sbom", "types"))
    session.run("mypy", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """How much the tests reach: 95 % of lines and branches at least, of each library and service."""
    install(session, *EVERYTHING, groups=("test", "coverage"))
    found = Path(session.virtualenv.location).resolve() / "coverage"
    shutil.rmtree(found, ignore_errors=True)
    found.mkdir()
    # Services are tested as processes, whose environment is the test's alone: what measures is none of it.
    site = session.run("python", "-c", "import site; print(site.getsitepackages()[0])", silent=True)
    measured = Path(str(site).strip()) / "measured.pth"
    variables = {
        "PROJECT": str(ROOT),
        "COVERAGE_FILE": str(found / ".coverage"),
        "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
    }
    session.env["COVERAGE_FILE"] = variables["COVERAGE_FILE"]
    measured.write_text(
        f"import os; os.environ.update({variables}); import coverage; coverage.process_startup()\n"
    )
    try:
        for package in (AUTH, SERVICE, GATEWAY, TASKS):
            pytest(session, str(Path(package.partition("[")[0]) / "tests"), at_once=True)
    finally:
        measured.unlink()
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    session.run("coverage", "json", "--quiet", "-o", str(found / "coverage.json"))
    session.run("python", "release/coverage_floor.py", str(found / "coverage.json"))


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of all that the locks pin; an error as well where nobody could be asked."""
    install(session, groups=("audit",))
    session.run("python", "release/audit.py", LOCK, "dev.lock")
    if shutil.which("npm"):
        session.run("npm", "audit", "--prefix=web", "--package-lock-only", "--audit-level=low", external=True)


@nox.session
def dist(session: nox.Session) -> None:
    """Makes every package's wheel in dist/, and runs each one's README in an empty environment."""
    install(session, STACK)
    build_wheels(session)
    pytest(session, "release/wheels")


@nox.session
def sbom(session: nox.Session) -> None:
    """Bills of materials (CycloneDX) of the services, as wheels install them, and of the page, in dist/."""
    install(session, groups=("sbom",))
    build_wheels(session)
    session.run("python", "release/sbom.py", "dist")
    if shutil.which("npm"):
        options = ("--sbom-format=cyclonedx", "--package-lock-only", "--omit=dev", "--sbom-type=application")
        document = session.run("npm", "sbom", "--prefix=web", *options, external=True, silent=True)
        Path("dist/todo-web.cdx.json").write_text(str(document))


def build_wheels(session: nox.Session) -> None:
    """Make the wheels in dist/ anew, with the build tools that the lock pins."""
    session.env["UV"] = nox.virtualenv.UV
    for old in Path("dist").glob("*.whl"):
        old.unlink()
    for package in (AUTH, SERVICE, GATEWAY, TASKS):
        folder = package.partition("[")[0]
        options = ("--quiet", "--wheel", "--out-dir=dist", f"--build-constraints={LOCK}")
        session.run("uv", "build", *options, folder, external=True)


@nox.session
def up(session: nox.Session) -> None:
    """Everything on this machine, ready to use: PostgreSQL, identity provider, page, tasks, gateway."""
    run_stack(session)


@nox.session
def demo(session: nox.Session) -> None:
    """Everything started aside, one user walked from sign-up to delete, everything stopped again."""
    run_stack(session)


def run_stack(session: nox.Session) -> None:
    """Become `python -m todo_stack NAME`, so that signals and the exit code have nothing between them."""
    install(session, *EVERYTHING, groups=())
    python = str(Path(session.bin) / "python")
    os.environ["PATH"] = f"{session.bin}{os.pathsep}{os.environ['PATH']}"
    sys.stdout.flush()
    os.execv(python, [python, "-m", "todo_stack", session.name, *session.posargs])


@nox.session
def e2e(session: nox.Session) -> None:
    """docker-compose.yml from outside: HTTP, Chromium, faults, HAProxy; skipped without a Docker engine."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        session.skip("no Docker engine runs here: `docker info` fails")
    install(session, *EVERYTHING, groups=("test", "web"))
    pytest(session, "-s", "--durations=10", "e2e")


@nox.session(name="compose-env", venv_backend="none")
def compose_env(session: nox.Session) -> None:
    """Makes the secrets that `docker compose up --wait` needs; what is there stays."""
    session.run(sys.executable, "stack/src/todo_stack/compose_env.py", str(ROOT), external=True)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Make requirements.lock and dev.lock from every pyproject.toml; for all platforms, without an index."""
    compile_lock(session, "dev.lock", "--group=dev")
    projects = [f"{package.partition('[')[0]}/pyproject.toml" for package in (*EVERYTHING, BENCH)]
    names = ("auth", "service", "gateway", "tasks", "stack", "bench")
    ours = [f"--no-emit-package=todo-{name}" for name in names]
    testing = ("test", "coverage", "contract", "docs", "mutants", "web")
    wanted = [f"--group={name}" for name in (*testing, "build", "lint", "types", "audit", "sbom")]
    compile_lock(session, LOCK, "--all-extras", *ours, *wanted, *projects)


def compile_lock(session: nox.Session, output: str, *arguments: str) -> None:
    """Resolve `arguments` into `output`; the session takes options such as `--upgrade`."""
    session.run(
        *("uv", "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", f"--output-file={output}"),
        *session.posargs,
        *arguments,
        external=True,
    )
