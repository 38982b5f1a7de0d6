"""What stands behind a gateway that is measured alone: answers at once, with as many bytes as the query asks.

`python -m todo_bench.upstream PORT`; `/any/path?limit=N` answers N bytes, everything else 11. About 10 µs of
CPU a request, so that the gateway stays what is measured.

Task: T-031 · Spec: plan.md#yardstick
"""

import asyncio
import re
import signal
import sys
from typing import cast

import httptools
import uvloop

DEFAULT_BYTES = 11
_LIMIT = re.compile(rb"[?&]limit=(\d+)")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def answer_to(target: bytes) -> bytes:
    """The whole answer to a request target: a JSON string of the length that the query asks for."""
    found = _LIMIT.search(target)
    length = int(found[1]) if found else DEFAULT_BYTES
    return _HEAD % length + b'"' + b"x" * (length - 2) + b'"'


class Server(asyncio.Protocol):
    """One connection. Each target's answer is made once for all of them."""

    answers: dict[bytes, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._target = b""

    def on_url(self, url: bytes) -> None:
        """httptools: a piece of the request target."""
        self._target += url

    def on_message_complete(self) -> None:
        """httptools: the request is whole."""
        answer = self.answers.get(self._target)
        if answer is None:
            answer = self.answers[self._target] = answer_to(self._target)
        self._transport.write(answer)


async def serve(port: int) -> None:
    """Answer until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(Server, "127.0.0.1", port, backlog=1024)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
