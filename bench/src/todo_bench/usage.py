"""CPU time and memory of running processes, their children included.

Task: T-032 · Spec: plan.md#yardstick
"""

from collections.abc import Mapping
from contextlib import suppress

import psutil

PRODUCT_PARTS = {"todo_gateway": "gateway", "todo_tasks": "tasks"}
"""How the product's processes are told from their supervisor: by the module that they run."""


class Usage:
    """The processes with the ids of `roots`, by name, and all their descendants, whoever they are by then.

    A descendant has its parent's name, unless it runs one of the product's modules.
    """

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = roots

    def cpu_s(self) -> dict[str, float]:
        """Seconds of CPU by name since the processes began, to a hundredth each."""
        return {name: sum(map(_cpu_s, found)) for name, found in self._processes().items()}

    def memory_mb(self) -> dict[str, float]:
        """Memory by name that no other process shares (USS), in MB of 10⁶ bytes."""
        return {name: sum(map(_uss, found)) / 1e6 for name, found in self._processes().items()}

    def _processes(self) -> dict[str, list[psutil.Process]]:
        found: dict[str, list[psutil.Process]] = {}
        for name, pid in self._roots.items():
            root = psutil.Process(pid)
            found.setdefault(name, []).append(root)
            names = {pid: name}
            # Parents come before their children.
            for process in root.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    names[process.pid] = _part(process) or names[process.ppid()]
                    found.setdefault(names[process.pid], []).append(process)
        return found


def postmaster_of(backend: int) -> int:
    """The process id of the server that the PostgreSQL backend with this process id belongs to."""
    return psutil.Process(backend).ppid()


def spent_us(before: Mapping[str, float], after: Mapping[str, float], answers: int) -> dict[str, float]:
    """Microseconds of CPU an answer, by name, between two readings of `cpu_s`."""
    return {name: (after[name] - before.get(name, 0)) / answers * 1e6 for name in after} if answers else {}


def _part(process: psutil.Process) -> str | None:
    arguments = process.cmdline()
    return next((part for module, part in PRODUCT_PARTS.items() if module in arguments), None)


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        # Children that have ended already are in their parent's account.
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _uss(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().uss)
    return 0
