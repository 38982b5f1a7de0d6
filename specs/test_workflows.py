"""Workflows, versions, licences and the workspace say what holds: what nobody looks at until it has rotted.

Task: T-061 · Spec: plan.md#hygiene
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PACKAGES = sorted([*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")])
MEMBERS = [*PACKAGES, ROOT / "stack" / "pyproject.toml", ROOT / "bench" / "pyproject.toml"]
LOCKED = ("requirements.lock", "dev.lock", "web/package-lock.json")


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def sessions() -> set[str]:
    """Every nox session, by the name that it is called by."""
    found = re.findall(
        r'^@nox\.session(?:\((?:.*name="([\w-]+)")?.*\))?\ndef (\w+)\(',
        (ROOT / "noxfile.py").read_text(),
        re.MULTILINE,
    )
    return {name or function for name, function in found}


def test_the_workspace_names_its_members_and_no_pattern() -> None:
    members = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    assert members == names([package.parent for package in MEMBERS])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=names(WORKFLOWS))
def test_a_workflow_names_only_commands_that_exist(workflow: Path) -> None:
    text = workflow.read_text()
    commands = re.findall(r"(?:^|[\s`])\./dev ([\w-]+)", text, re.MULTILINE)
    files = re.findall(r"(?:run: |&& )(?:python3 )?(\.ci/\w+|release/[\w.]+)", text)
    assert commands or files
    assert set(commands) - sessions() == set()
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_the_workflows_run_what_is_asked_of_a_change() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    wanted = {
        "lint",
        "types",
        "specs",
        "auth",
        "service",
        "gateway",
        "tasks",
        "stack",
        "coverage",
        "dist",
        "e2e",
    }
    assert wanted - set(re.findall(r"\./dev ([\w-]+)", text)) == set()


def test_the_tests_run_on_every_python_that_is_supported() -> None:
    [matrix] = re.findall(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    pythons = re.findall(r'"3\.(\d+)"', matrix)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert [f"py3{minor}" for minor in pythons] == settings["tool"]["black"]["target-version"]
    oldest = {tomllib.loads(file.read_text())["project"]["requires-python"] for file in MEMBERS}
    assert oldest == {f">=3.{pythons[0]}"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=names(WORKFLOWS))
def test_every_action_is_pinned_to_a_commit_that_says_its_version(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert [use for use in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_an_action_has_one_pin_in_all_workflows() -> None:
    text = "".join(workflow.read_text() for workflow in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)(@[0-9a-f]{40} # v[\d.]+)", text))
    assert pins
    assert len({action for action, _ in pins}) == len(pins)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=names(WORKFLOWS))
def test_a_workflow_may_only_read_unless_a_job_says_why(workflow: Path) -> None:
    text = workflow.read_text()
    assert re.search(r"^permissions:\n  contents: read\n\n", text, re.MULTILINE)
    grants = re.findall(r"^ +[a-z-]+: write(.*)$", text, re.MULTILINE)
    assert [grant for grant in grants if not re.match(r" # \w+", grant)] == []


def test_every_image_and_every_lock_of_npm_is_kept_up_to_date() -> None:
    dependabot = (ROOT / ".github" / "dependabot.yml").read_text()
    ecosystems = dict(re.findall(r"package-ecosystem: (\S+)\n    director(?:y|ies): (.*)", dependabot))
    assert dependabot.count("cooldown:") == len(ecosystems) >= 3
    folders = {name: set(re.findall(r"/[\w/-]*", value)) for name, value in ecosystems.items()}
    images = {f"/{file.parent.relative_to(ROOT).as_posix()}" for file in ROOT.glob("services/Dockerfile")}
    images |= {f"/{file.parent.relative_to(ROOT).as_posix()}" for file in ROOT.glob("web/Dockerfile")}
    assert images - folders["docker"] == set()
    assert {"/web", "/bench/peers/node"} - folders["npm"] == set()
    assert all((ROOT / folder.strip("/")).is_dir() for some in folders.values() for folder in some)


def test_what_the_audit_watches_is_there() -> None:
    text = (ROOT / ".github" / "workflows" / "audit.yml").read_text()
    assert [lock for lock in LOCKED if lock not in text or not (ROOT / lock).is_file()] == []


@pytest.mark.parametrize("file", MEMBERS, ids=names(MEMBERS))
def test_no_package_has_a_version_of_its_own(file: Path) -> None:
    settings = tomllib.loads(file.read_text())
    assert settings["project"]["dynamic"] == ["version"]
    source = settings["tool"]["hatch"]["version"]["path"]
    assert (file.parent / source).resolve() == ROOT / "libs" / "version.py"


@pytest.mark.parametrize("file", PACKAGES, ids=names(PACKAGES))
def test_a_package_carries_the_licence_and_has_a_page(file: Path) -> None:
    assert (file.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    page = (file.parent / "README.md").read_text()
    assert re.search(r"^```(python|sh)$", page, re.MULTILINE)


@pytest.mark.parametrize("file", PACKAGES, ids=names(PACKAGES))
def test_what_needs_another_package_requires_it_in_its_own_version(file: Path) -> None:
    """In the wheel: libs/version.py adds it, where it is told to."""
    settings = tomllib.loads(file.read_text())
    needs_ours = any(one.startswith("todo-") for one in settings["project"]["dependencies"])
    hooks = settings["tool"]["hatch"]["build"]["targets"]["wheel"].get("hooks", {})
    assert needs_ours == ("custom" in hooks)
    if needs_ours:
        assert (file.parent / hooks["custom"]["path"]).resolve() == ROOT / "libs" / "version.py"
