"""Whether there are traces, as OpenTelemetry's variables say."""

import os
import subprocess
import sys

import pytest
from todo_service import tracing
from todo_service.settings import SettingsError

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def run(program: str, **variables: str) -> str:
    """What a Python of its own prints."""
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


IMPORTED = """
import sys
from todo_service import access, metrics, problems, requests, server, tracing
from todo_service.tracing import server as traces, spans
print(tracing.from_environment("todo-tasks"))
print([name for name in ("opentelemetry.sdk", "opentelemetry.exporter") if name in sys.modules])
"""


def test_without_an_endpoint_neither_the_sdk_nor_the_exporter_is_imported() -> None:
    assert run(IMPORTED) == "None\n[]"
    told = run(IMPORTED, **{ENDPOINT: "http://127.0.0.1:1"})
    assert told.endswith("['opentelemetry.sdk', 'opentelemetry.exporter']")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"},
        {ENDPOINT: "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_traces_can_be_off(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not tracing.check()
    assert tracing.from_environment("todo-tasks") is None


@pytest.mark.parametrize("name", [ENDPOINT, TRACES_ENDPOINT])
def test_either_endpoint_turns_them_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "https://collector.example:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert tracing.check()


def test_what_cannot_be_is_told_at_once_and_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "collector:4317")
    monkeypatch.setenv(TRACES_ENDPOINT, "http://")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(SettingsError) as caught:
        tracing.check()
    assert caught.value.problems == [
        f"{ENDPOINT}: must be an http:// or https:// URL.",
        f"{TRACES_ENDPOINT}: must be an http:// or https:// URL.",
        "OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken.",
    ]


@pytest.mark.parametrize("absent", ["opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.http"])
def test_missing_packages_are_named_by_their_extra(absent: str) -> None:
    program = f"""
import sys
sys.modules[{absent!r}] = None
from todo_service import settings, tracing
try:
    tracing.check()
except settings.SettingsError as error:
    print(error)
"""
    told = f"{ENDPOINT}: traces need the packages of the extra `otel`."
    assert run(program, **{ENDPOINT: "http://127.0.0.1:1"}) == told
