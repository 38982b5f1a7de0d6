"""An upload through the gateway as a process: what it costs in memory.

`UPLOAD_MIB`: how large it is, in MiB.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from todo_auth.testing import Issuer

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell memory"),
]

MIB = 1024 * 1024
SIZE = int(os.environ.get("UPLOAD_MIB", "64")) * MIB
PIECE = b"x" * 65536


def memory_bytes(pid: int, name: str) -> int:
    """What a process holds (`VmRSS`) or has held at most (`VmHWM`)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


async def test_an_upload_of_any_size_passes_in_under_20_mib(process: Any, issuer: Issuer) -> None:
    received = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Counts the body of each request that has one."""
        nonlocal received
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"content-length: (\d+)", head)
            left = int(length[1]) if length else 0
            while left:
                piece = await reader.read(min(left, MIB))
                left -= len(piece)
                received += len(piece)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(SIZE // len(PIECE)):
            yield PIECE

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        gateway = await process(TASKS_URL=address, MAX_BODY_BYTES=str(SIZE))
        headers = {"Authorization": f"Bearer {issuer.token('ann')}", "Content-Length": str(SIZE)}
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60) as http:
            assert (await http.post("/api/tasks", content=b"{}", headers={"Content-Length": "2"})).is_success
            before, received = memory_bytes(gateway.pid, "VmRSS"), 0
            assert (await http.post("/api/tasks", content=body())).is_success
            grown = memory_bytes(gateway.pid, "VmHWM") - before
    print(f"{received} bytes passed, {grown / MIB:.1f} MiB of growth over {before / MIB:.1f}")
    assert received == SIZE
    assert grown < 20 * MIB
