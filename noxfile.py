"""Every developer command, one session each; `./dev NAME …` runs `nox -s NAME -- …`.

Task: T-001 · Spec: plan.md#two-commands
"""

import hashlib
import os
import re
import shutil
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
SOURCES = ("dev", "noxfile.py", "libs", "services", "stack", "specs", "web/tests", "bench")


def install(session: nox.Session, *packages: str, groups: tuple[str, ...] = ("test",)) -> None:
    """Install `packages` editable, and their dependencies at the versions and hashes of the lock.

    Remembered by what decides the outcome, so that a repeat costs nothing.
    """
    projects = [Path(package.partition("[")[0]) / "pyproject.toml" for package in packages]
    inputs = [Path(LOCK), Path("pyproject.toml"), *projects]
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


def pytest(session: nox.Session, *paths: str) -> None:
    """Run the tests in `paths` with the session's own options."""
    session.run("python", "-m", "pytest", *paths, *session.posargs)


@nox.session
def auth(session: nox.Session) -> None:
    """Tests of libs/auth alone."""
    install(session, AUTH)
    pytest(session, "libs/auth/tests")


@nox.session
def service(session: nox.Session) -> None:
    """Tests of libs/service alone."""
    install(session, SERVICE)
    pytest(session, "libs/service/tests")


@nox.session
def gateway(session: nox.Session) -> None:
    """Tests of the gateway, with the libraries it stands on."""
    install(session, GATEWAY, AUTH, SERVICE)
    pytest(session, "services/gateway/tests")


@nox.session
def tasks(session: nox.Session) -> None:
    """Tests of the tasks service, with the libraries it stands on and a real PostgreSQL."""
    install(session, TASKS, AUTH, SERVICE, STACK)
    pytest(session, "services/tasks/tests")


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
def mutants(session: nox.Session) -> None:
    """Small changes to the verifier, in a copy, that its tests must notice (libs/auth/tests/MUTANTS.md)."""
    install(session, AUTH, groups=("test", "mutants"))
    copy = Path(session.create_tmp()).resolve() / "auth"
    ignored = shutil.ignore_patterns("__pycache__", "mutants")
    shutil.copytree("libs/auth", copy, ignore=ignored, dirs_exist_ok=True)
    session.chdir(copy)
    session.run("nice", "mutmut", "run", "--max-children", "2", *session.posargs, external=True)
    session.run("mutmut", "results")


@nox.session
def specs(session: nox.Session) -> None:
    """Specification, tasks and code name each other."""
    install(session)
    pytest(session, "specs")


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
    for name in ("auth", "service", "gateway", "tasks", "stack", "bench-tests", "specs", "web"):
        session.notify(name, session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """black and flake8."""
    install(session, groups=("lint",))
    session.run("black", "--check", "--quiet", "--diff", *SOURCES)
    session.run("flake8", *SOURCES)


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict, tests included."""
    install(session, *EVERYTHING, BENCH, groups=("test", "web", "types"))
    session.run("mypy", *session.posargs)


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


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Make requirements.lock and dev.lock from every pyproject.toml; for all platforms, without an index."""
    compile_lock(session, "dev.lock", "--group=dev")
    projects = [f"{package.partition('[')[0]}/pyproject.toml" for package in (*EVERYTHING, BENCH)]
    names = ("auth", "service", "gateway", "tasks", "stack", "bench")
    ours = [f"--no-emit-package=todo-{name}" for name in names]
    groups = [f"--group={name}" for name in ("build", "test", "contract", "mutants", "web", "lint", "types")]
    compile_lock(session, LOCK, "--all-extras", *ours, *groups, *projects)


def compile_lock(session: nox.Session, output: str, *arguments: str) -> None:
    """Resolve `arguments` into `output`; the session takes options such as `--upgrade`."""
    session.run(
        *("uv", "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", f"--output-file={output}"),
        *session.posargs,
        *arguments,
        external=True,
    )
