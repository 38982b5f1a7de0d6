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


def test_every_setting_is_in_the_example_and_the_example_has_no_other() -> None:
    services = {name.upper() for model in (GatewaySettings, TasksSettings) for name in model.model_fields}
    assert set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE)) == services | PAGE | STACK


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
