"""Keys handed from worker to worker."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_auth import KeySet, Verifier
from todo_auth.development import serving
from todo_auth.testing import Issuer
from todo_gateway import seeds


def keys_of(issuer: Issuer) -> KeySet:
    keys = issuer.trusted().keys
    assert keys is not None
    return keys


async def test_a_new_worker_verifies_without_a_fetch_of_its_own(issuer: Issuer, tmp_path: Path) -> None:
    kept = tmp_path / "keys.json"
    written = asyncio.Event()

    async def sleep(_: float) -> None:
        written.set()
        await asyncio.Event().wait()

    first = keys_of(issuer)
    await first.refresh()
    writing = asyncio.ensure_future(seeds.keep(first, kept, sleep=sleep))
    await written.wait()
    writing.cancel()
    issuer.down = True
    trusted = issuer.trusted()
    assert trusted.keys is not None
    seeds.sow(trusted.keys, kept)
    async with Verifier(trusted) as verifier:
        assert (await verifier.verify(issuer.token("ann"))).user_id == "ann"
    assert issuer.fetches == 1
    await first.aclose()


async def test_nothing_is_written_before_there_are_keys_and_again_after_each_fetch(
    issuer: Issuer, tmp_path: Path
) -> None:
    kept = tmp_path / "keys.json"
    keys = keys_of(issuer)
    seen: list[int] = []

    async def sleep(_: float) -> None:
        seen.append(len(json.loads(kept.read_text())["keys"]) if kept.exists() else 0)
        if len(seen) == 4:
            raise asyncio.CancelledError
        if len(seen) % 2:
            await keys.refresh()
            issuer.rotate()

    keys._retry_s = 0  # nobody waits here
    with pytest.raises(asyncio.CancelledError):
        await seeds.keep(keys, kept, sleep=sleep)
    assert seen == [0, 1, 1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]
    await keys.aclose()


async def test_a_worker_that_found_the_issuer_away_takes_what_another_has_fetched_since(
    issuer: Issuer, tmp_path: Path
) -> None:
    kept = tmp_path / "keys.json"
    other, keys = keys_of(issuer), keys_of(issuer)
    await other.refresh()
    rounds = 0

    async def sleep(_: float) -> None:
        nonlocal rounds
        rounds += 1
        assert keys.is_usable == (rounds == 2)
        document = other.export()
        assert document is not None
        kept.write_bytes(document)
        if rounds == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await seeds.keep(keys, kept, sleep=sleep)
    await asyncio.gather(other.aclose(), keys.aclose())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"keys":[]}'])
async def test_a_file_that_cannot_be_believed_changes_nothing(
    content: bytes, issuer: Issuer, tmp_path: Path
) -> None:
    kept = tmp_path / "keys.json"
    keys = keys_of(issuer)
    seeds.sow(keys, kept)
    kept.write_bytes(content)
    seeds.sow(keys, kept)
    assert not keys.is_usable
    await keys.aclose()


async def test_a_worker_that_dies_is_replaced_by_one_that_knows_the_keys(
    upstream: Any, issuer: Issuer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving(issuer) as url:
        environment = {
            "PATH": os.environ["PATH"],
            "BETTER_AUTH_URL": url,
            "IDENTITY_SECRET": "a secret that is long enough to be one",
            "TASKS_URL": upstream.url,
            "GATEWAY_PORT": str(port),
            "GATEWAY_WORKERS": "2",
        }
        process = subprocess.Popen([sys.executable, "-m", "todo_gateway", "serve"], env=environment)
        try:
            headers = {"Authorization": f"Bearer {issuer.token('ann')}", "Connection": "close"}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
                await until_served(http, headers, process)
                # The issuer is gone when the workers are killed, one after the other.
                issuer.down = True
                for pid in workers(process.pid):
                    os.kill(pid, signal.SIGKILL)
                    await until_served(http, headers, process)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def workers(pid: int) -> list[int]:
    """The worker processes of a supervisor."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


async def until_served(
    http: httpx.AsyncClient, headers: dict[str, str], process: "subprocess.Popen[bytes]"
) -> None:
    """Until twenty connections in a row are served, and so every worker; one that a killed worker had is no
    answer. The runner's own limit ends this where it goes on.
    """
    served = 0
    while served < 20:
        try:
            answer = await http.get("/api/tasks", headers=headers)
            served = served + 1 if answer.status_code == 200 else 0
        except httpx.TransportError:
            served = 0
        assert process.poll() is None
        if not served:
            await asyncio.sleep(0.02)
