"""Builds as processes: started, waited for, ended.

Task: T-031 · Spec: plan.md#yardstick
"""

import sys
from pathlib import Path

import psutil
import pytest
from todo_bench.launch import Build, Launcher, LaunchError, Part, answers
from todo_stack.ports import free_port


def python(code: str, name: str = "part") -> Part:
    return Part(name, [sys.executable, "-c", code], {"GREETING": "hello"}, lambda: False)


def test_a_build_that_ends_instead_of_answering_is_reported_with_its_last_words(tmp_path: Path) -> None:
    build = Build(
        "broken", free_port(), [python("import os, sys; sys.exit(os.environ['GREETING'] + ' world')")]
    )
    with Launcher(tmp_path) as launcher, pytest.raises(LaunchError, match="broken: part .* hello world"):
        with launcher.run(build):
            pass


def test_a_part_gets_nothing_of_the_environment_that_could_change_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    build = Build("printing", free_port(), [python("import os, sys; sys.exit(' '.join(os.environ))")])
    with Launcher(tmp_path) as launcher, pytest.raises(LaunchError) as raised:
        with launcher.run(build):
            pass
    assert "GREETING" in str(raised.value)
    assert "DATABASE_URL" not in str(raised.value)


def test_leaving_the_block_ends_every_process(tmp_path: Path) -> None:
    port = free_port()
    part = Part("up", [sys.executable, "-m", "todo_bench.upstream", str(port)], {}, answers(port, "/"))
    with Launcher(tmp_path) as launcher:
        with launcher.run(Build("one", port, [part])) as running:
            (process,) = (child for child in psutil.Process().children() if str(port) in child.cmdline())
            assert running.startup_s > 0
            assert running.usage.memory_mb()["up"] > 1
        assert not process.is_running()


def test_when_a_later_part_does_not_start_the_earlier_one_is_ended(tmp_path: Path) -> None:
    port = free_port()
    first = Part("up", [sys.executable, "-m", "todo_bench.upstream", str(port)], {}, answers(port, "/"))
    build = Build("half", port, [first, python("raise SystemExit(1)", "second")])
    with Launcher(tmp_path) as launcher:
        with pytest.raises(LaunchError, match="second did not start"):
            with launcher.run(build):
                pass
        assert not answers(port, "/")()


def test_logs_are_emptied_while_the_build_goes_on_writing(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import http.server, sys\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    part = Part("web", [sys.executable, "-c", code], {}, answers(port, "/"), tmp_path)
    with Launcher(tmp_path) as launcher, launcher.run(Build("logging", port, [part])):
        log = tmp_path / "logging-web.log"
        assert log.stat().st_size > 0
        launcher.empty_logs()
        assert log.read_text() == ""
        assert answers(port, "/")()
        assert log.read_text().startswith("127.0.0.1")
