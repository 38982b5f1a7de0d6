"""The version of every package, and what hatchling asks for when it builds one.

Task: T-061 · Spec: plan.md#hygiene
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilderConfig
from packaging.requirements import Requirement

VERSION = "0.1.0"


class OneVersion(BuildHookInterface[WheelBuilderConfig]):
    """A wheel requires the other packages of this repository in its own version: they change together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add `todo-auth==VERSION` for a dependency on `todo-auth`, and so on.

        `version` is hatchling's word for the kind of wheel. The pyproject.toml itself names no version, so
        that VERSION stays the only place that does.
        """
        names = {Requirement(dependency).name for dependency in self.metadata.core.dependencies}
        ours = sorted(name for name in names if name.startswith("todo-"))
        build_data["dependencies"] += [f"{name}=={VERSION}" for name in ours]
