"""Settings, routes, profiles and rules on the pages are read by what reads them in production.

Task: T-060 · Spec: plan.md#documentation
"""

import re
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import promql_parser
import pytest
import yaml
from dotenv import dotenv_values
from todo_gateway import routes
from todo_gateway.settings import GatewaySettings
from todo_service.settings import load
from todo_stack.settings import ROOT
from todo_tasks import profile_file
from todo_tasks.settings import TasksSettings

# The whole is started here, on machines that may have much else to do.
pytestmark = pytest.mark.timeout(600)

KNOWN = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.shows("toml")
def test_every_file_of_routes_and_every_profile_is_one(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "block.toml"
    for _, text in page.blocks("toml"):
        file.write_text(text)
        if "[[route]]" in text:
            assert routes.read(file)
        else:
            assert profile_file.load(str(file)).source == "block.toml"


@pytest.mark.shows("dotenv")
def test_every_setting_that_a_page_shows_is_one_and_takes_that_value(
    page: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no `.env`
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    for _, text in page.blocks("dotenv"):
        shown = {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}
        assert shown and set(shown) <= KNOWN
        least = {"IDENTITY_SECRET": "x" * 32, "DATABASE_URL": "postgresql://todo@db.example.com/todo"}
        if "NEON_AUTH_BASE_URL" not in shown:
            least["BETTER_AUTH_URL"] = "https://app.example.com"
        with monkeypatch.context() as patched:
            for name, value in {**least, **shown}.items():
                patched.setenv(name, value)
            load(GatewaySettings)
            load(TasksSettings)


@pytest.fixture(scope="module")
def measured(stack: Any) -> set[str]:
    """The names of all metrics that both services have."""
    found: set[str] = set()
    for url in stack.metrics_urls:
        with urlopen(url, timeout=10) as answer:
            found |= set(re.findall(r"^# TYPE (\w+) ", answer.read().decode(), re.MULTILINE))
    return {name for name in found if not re.match(r"(python|process)_|.*_created$", name)}


def test_the_table_of_metrics_has_every_one_and_no_other(measured: set[str], pages: Any) -> None:
    text = pages["docs/operate.md"].text
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (?:gateway|tasks|both) \|", text, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"\w+", row)} == measured


def test_every_alert_is_a_query_of_metrics_that_there_are(measured: set[str], pages: Any) -> None:
    sums = {f"{name}{suffix}" for name in measured for suffix in ("", "_bucket", "_sum", "_count")}
    [(_, text)] = pages["docs/operate.md"].blocks("yaml")
    [group] = yaml.safe_load(text)["groups"]
    assert len(group["rules"]) > 5
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        promql_parser.parse(rule["expr"])
        names = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", rule["expr"])) - {"histogram_quantile"}
        assert names and names <= sums, rule["alert"]
