"""CPU time and memory of running processes.

Task: T-032 · Spec: plan.md#yardstick
"""

import os
import subprocess
import sys

from todo_bench.usage import Usage, spent_us


def test_what_a_process_spends_is_counted_and_its_children_with_it() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()\n"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        usage = Usage({"parent": process.pid})
        process.stdout.readline()
        assert usage.cpu_s()["parent"] >= 0.19
        assert usage.memory_mb()["parent"] > 1
        process.stdin.close()


def test_a_child_that_runs_a_module_of_the_product_has_a_name_of_its_own() -> None:
    child = "import sys; print(flush=True); sys.stdin.read()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, 'todo_gateway'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        assert Usage({"supervisor": process.pid}).cpu_s().keys() == {"supervisor", "gateway"}
        process.stdin.close()


def test_what_was_spent_is_divided_by_the_answers() -> None:
    before, after = {"gateway": 1.0}, {"gateway": 1.5, "tasks": 0.25}
    assert spent_us(before, after, 1000) == {"gateway": 500.0, "tasks": 250.0}
    assert spent_us(before, after, 0) == {}


def test_the_own_process_is_found() -> None:
    assert Usage({"self": os.getpid()}).cpu_s()["self"] > 0
