"""Bills of materials of the services: what their wheels install, with versions, licences and who needs whom.

`python release/sbom.py dist` reads the wheels there and writes `NAME.cdx.json` beside them, in CycloneDX 1.6.

Task: T-061 · Spec: plan.md#hygiene
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

LOCK = Path(__file__).parents[1] / "requirements.lock"
UV = os.environ.get("UV", "uv")
SERVICES = ("todo-gateway", "todo-tasks")


def installed(wheels: Path, name: str, environment: Path) -> Path:
    """Install a service into a new environment, as its image does; returns the environment's Python."""
    python = environment / "bin" / "python"
    ours = environment.with_suffix(".txt")
    found = {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in wheels.glob("todo_*.whl")}
    ours.write_text("".join(f"{name} @ {wheel.resolve().as_uri()}\n" for name, wheel in found.items()))
    subprocess.run([UV, "venv", "--quiet", str(environment)], check=True)
    options = ["--quiet", f"--python={python}", f"--constraints={ours}", f"--constraints={LOCK}"]
    # From a folder of its own: uv would read the sources of the workspace instead.
    subprocess.run([UV, "pip", "install", *options, f"{name}[otel]"], cwd=ours.parent, check=True)
    return python


def materials(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The document with the service as what it describes, and without the paths that its wheels had here."""
    components = document["components"]
    [service] = [component for component in components if component["name"] == name]
    for component in components:
        references = component.pop("externalReferences", [])
        if public := [one for one in references if not one["url"].startswith("file:")]:
            component["externalReferences"] = public
    components.remove(service)
    document["metadata"]["component"] = {**service, "type": "application"}
    return document


def main(folder: str) -> None:
    """Write the bill of each service into `folder`; ValueError when one breaks CycloneDX's schema."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for name in SERVICES:
        with tempfile.TemporaryDirectory() as place:
            python = installed(Path(folder), name, Path(place, name))
            command = ["cyclonedx-py", "environment", "--sv=1.6", "--output-reproducible", str(python)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        text = json.dumps(materials(json.loads(printed), name), indent=1) + "\n"
        if error := validator.validate_str(text):
            raise ValueError(f"{name}: {error}")
        Path(folder, f"{name}.cdx.json").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
