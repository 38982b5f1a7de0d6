"""`.env.example` names every setting there is, and no other."""

import re
from io import StringIO

from dotenv import dotenv_values
from todo_gateway.settings import GatewaySettings
from todo_stack.settings import ROOT
from todo_tasks.settings import TasksSettings

EXAMPLE = (ROOT / ".env.example").read_text()
PAGE = set(re.findall(r"\benv\.([A-Z_]+)", (ROOT / "web" / "lib" / "settings.ts").read_text()))
STACK = {"WEB_PORT", "TODO_DATA_DIR", "TODO_READY_FILE"}
CONTAINERS = {"SECRETS_DIR", "WORKERS", "TODO_SECRETS_DIR", "TODO_VERSION"}
CONTAINERS |= {"PUBLISH_ADDRESS", "COMPOSE_PROFILES"}
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def test_every_setting_is_in_the_example_and_the_example_has_no_other() -> None:
    services = {name.upper() for model in (GatewaySettings, TasksSettings) for name in model.model_fields}
    assert set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE)) == services | PAGE | STACK | CONTAINERS


def test_compose_takes_no_value_that_the_example_does_not_explain_and_hands_every_setting_on() -> None:
    taken = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    handed = set(re.findall(r"^ {6}([A-Z_]+):", COMPOSE, re.MULTILINE))
    explained = set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert taken <= explained
    services = {name.upper() for model in (GatewaySettings, TasksSettings) for name in model.model_fields}
    # Secrets are files, and where a service listens inside its container the image says.
    secret = {"DATABASE_URL", "DATABASE_DIRECT_URL", "IDENTITY_SECRET", "BETTER_AUTH_SECRET"}
    inside = {"ENV", "GATEWAY_HOST", "GATEWAY_PORT", "TASKS_HOST", "TASKS_PORT"}
    # Need a file or another issuer, and so an override file of the operator's own.
    other = {"GATEWAY_ROUTES", "NEON_AUTH_BASE_URL"}
    assert services - secret - inside - other <= handed


def test_its_defaults_are_the_services_defaults() -> None:
    example = dotenv_values(stream=StringIO(re.sub(r"^#([A-Z_]+=)", r"\1", EXAMPLE, flags=re.MULTILINE)))
    for model in (GatewaySettings, TasksSettings):
        for name, field in model.model_fields.items():
            default = getattr(field.default, "source", field.default)  # a wire profile is named by its source
            text = example[name.upper()]
            if not text:
                continue
            if isinstance(default, bool):
                assert text == ("on" if default else "off"), name
            elif isinstance(default, (int, float)):
                assert float(text) == default, name
            else:
                assert text == (default[0] if isinstance(default, tuple) else default), name


def test_taken_as_it_is_it_changes_nothing() -> None:
    assert dotenv_values(stream=StringIO(EXAMPLE)) == {}
