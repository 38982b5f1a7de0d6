"""A bill of materials describes one program and what it is made of, and nothing of where it was made.

Task: T-061 · Spec: plan.md#hygiene
"""

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.sbom import materials


def component(name: str, *urls: str) -> dict[str, Any]:
    references = [{"type": "distribution", "url": url} for url in urls]
    described = {"bom-ref": f"{name}==1", "name": name, "version": "1", "type": "library"}
    return {**described, "externalReferences": references} if references else described


def test_a_bill_describes_the_program_and_not_the_machine() -> None:
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {},
        "components": [
            component("todo-tasks", "file:///home/ann/dist/todo_tasks-1-py3-none-any.whl"),
            component("todo-auth", "file:///home/ann/dist/todo_auth-1-py3-none-any.whl"),
            component("httpx", "https://www.python-httpx.org"),
        ],
        "dependencies": [{"ref": "todo-tasks==1", "dependsOn": ["todo-auth==1"]}, {"ref": "todo-auth==1"}],
    }
    bill = materials(document, "todo-tasks")
    assert bill["metadata"]["component"] == {**component("todo-tasks"), "type": "application"}
    assert bill["components"] == [component("todo-auth"), component("httpx", "https://www.python-httpx.org")]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
