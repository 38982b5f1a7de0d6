"""The bundled load generator, for machines without wrk: `python -m todo_bench.generator` with the arguments
port, connections, seconds, file of requests, and STATUS:SHORTEST:LONGEST for each status that may come.

It prints the same line as wrk's script does. One process on uvloop, about 25 µs of CPU a request.

Task: T-032 · Spec: plan.md#yardstick
"""

import asyncio
import itertools
import json
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httptools
import uvloop

from todo_bench.load import TIMEOUT_S, Bounds, read_requests


class Tally:
    """What all connections have seen."""

    def __init__(self, requests: Iterator[bytes], bounds: Bounds) -> None:
        self.requests = requests
        self.bounds = bounds
        self.latencies_us = array("L")
        self.wrong = 0
        self.failed = 0


class Client(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is whole."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._ending = False
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio
        self._send()

    def _send(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._length = 0
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._tally.requests))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._tally.failed += 1
            self.stop()

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._length += len(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        tally = self._tally
        tally.latencies_us.append(int((time.perf_counter() - self._sent_at) * 1e6))
        shortest, longest = tally.bounds.get(self._parser.get_status_code(), (1, 0))
        if not shortest <= self._length <= longest:
            tally.wrong += 1
        if not self._parser.should_keep_alive():
            tally.failed += 1
            self.stop()
        elif not self._ending:
            self._send()

    def is_late(self) -> bool:
        """Whether the answer has been waited for longer than the time limit."""
        return time.perf_counter() - self._sent_at > TIMEOUT_S

    def stop(self) -> None:
        """Close the connection; an answer on its way is not counted."""
        self._ending = True
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ending:
            self._tally.failed += 1
        if not self.ended.done():
            self.ended.set_result(None)


async def generate(port: int, connections: int, seconds: float, tally: Tally) -> float:
    """Put the load on, and return how many seconds it took."""
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: Client(tally), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.wait([client.ended for client in clients], timeout=begun + seconds - time.perf_counter())
    taken = time.perf_counter() - begun
    for client in clients:
        tally.failed += not client.ended.done() and client.is_late()
        client.stop()
    await asyncio.gather(*(client.ended for client in clients))
    return taken


def main(arguments: list[str]) -> None:
    """Generate load as the arguments say, and print the line with the result."""
    port, connections, seconds = (int(argument) for argument in arguments[:3])
    bounds: dict[int, tuple[int, int]] = {}
    for argument in arguments[4:]:
        status, shortest, longest = (int(part) for part in argument.split(":"))
        bounds[status] = (shortest, longest)
    tally = Tally(itertools.cycle(read_requests(Path(arguments[3]))), bounds)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            taken = runner.run(generate(port, connections, seconds, tally))
    except OSError as error:
        sys.exit(f"127.0.0.1:{port}: {error.strerror or error}")
    latencies = sorted(tally.latencies_us) or [0]
    result = {
        "answers": len(tally.latencies_us),
        "microseconds": int(taken * 1e6),
        "p50_us": latencies[len(latencies) * 50 // 100],
        "p99_us": latencies[len(latencies) * 99 // 100],
        "wrong": tally.wrong,
        "failed": tally.failed,
    }
    print("result " + json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
