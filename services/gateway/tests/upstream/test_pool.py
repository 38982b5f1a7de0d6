"""Many requests over few connections: reuse, turns, and a clean end."""

import asyncio
import collections
import gc
import random
from contextlib import suppress
from typing import Any

import pytest
from todo_gateway.upstream import ConnectFailed, Disconnected, Pool, PoolClosed, PoolTimeout, UpstreamError
from todo_gateway.upstream.answer import Answer
from todo_gateway.upstream.http1 import Connection

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
STREAM = OK + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n"
SOON = 0.03  # seconds; a limit that a test waits out


async def hello(peer: Any) -> None:
    """Answers every request without a body."""
    while await peer.head():
        await peer.send(HELLO)


async def streaming(peer: Any) -> None:
    """Answers every request with a body that does not end."""
    while await peer.head():
        await peer.send(STREAM)


async def get(pool: Pool) -> bytes | None:
    return (await pool.request(b"GET", b"/", [])).body


async def settle() -> None:
    """Let everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_requests_one_after_another_share_a_connection(serve: Any, connect: Any) -> None:
    upstream = await serve(hello)
    pool = connect(upstream)
    assert [await get(pool) for _ in range(5)] == [b"hello"] * 5
    assert upstream.connections == 1


async def test_requests_at_once_have_connections_of_their_own_up_to_the_limit(
    serve: Any, connect: Any
) -> None:
    together = asyncio.Barrier(3)

    async def script(peer: Any) -> None:
        while await peer.head():
            await together.wait()  # passes only when three requests are in progress
            await peer.send(HELLO)

    upstream = await serve(script)
    pool = connect(upstream, max_connections=3)
    assert await asyncio.gather(*[get(pool) for _ in range(9)]) == [b"hello"] * 9
    assert upstream.connections == 3


async def test_the_connection_used_last_is_used_next_so_that_the_others_may_expire(
    serve: Any, connect: Any
) -> None:
    together, answered = asyncio.Barrier(2), collections.Counter[int]()

    async def script(peer: Any) -> None:
        await peer.head()
        await together.wait()
        await peer.send(HELLO)
        while await peer.head():
            answered[id(peer)] += 1
            await peer.send(HELLO)

    pool = connect(await serve(script))
    await asyncio.gather(get(pool), get(pool))
    for _ in range(4):
        await get(pool)
    assert list(answered.values()) == [4]


async def test_a_connection_that_the_upstream_closed_while_idle_is_not_used(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(HELLO)

    upstream = await serve(script)
    pool = connect(upstream, max_connections=1)
    for _ in range(3):
        response = await pool.request(b"POST", b"/", [], None)  # would not be sent twice
        assert response.body == b"hello"
        await upstream.all_closed()
    assert upstream.connections == 3


async def test_an_idle_connection_is_closed_in_time(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(HELLO)
        assert await peer.rest() == b""

    upstream = await serve(script)
    pool = connect(upstream, keepalive_s=SOON)
    await get(pool)
    await upstream.all_closed()
    await get(pool)
    assert upstream.connections == 2


async def test_an_expired_connection_is_not_used_even_before_it_is_closed(serve: Any, connect: Any) -> None:
    upstream = await serve(hello)
    pool = connect(upstream, keepalive_s=0)
    await get(pool)
    await get(pool)
    assert upstream.connections == 2


async def test_a_connection_that_has_lived_is_closed_behind_its_answer(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        while await peer.head():
            await peer.send(HELLO)

    upstream = await serve(script)
    pool = connect(upstream, lifetime_s=0)
    for number in range(1, 4):
        await get(pool)
        await upstream.all_closed()
        assert upstream.connections == number
    assert pool.outstanding == 0


async def test_requests_past_the_limit_are_served_in_the_order_they_came(serve: Any, connect: Any) -> None:
    served = []

    async def script(peer: Any) -> None:
        while request := await peer.head():
            served.append(request.split(b" ")[1])
            await peer.send(HELLO)

    pool = connect(await serve(script), max_connections=1)
    targets = [b"/%d" % number for number in range(20)]
    await asyncio.gather(*[pool.request(b"GET", target, []) for target in targets])
    assert served == targets


async def test_nobody_who_comes_later_overtakes_one_who_waits(serve: Any, connect: Any) -> None:
    pool = connect(await serve(streaming), max_connections=1)
    order = []

    async def request(name: str) -> None:
        response = await pool.request(b"GET", b"/", [])
        order.append(name)
        await response.aclose()

    held = await pool.request(b"GET", b"/", [])
    waiting = asyncio.create_task(request("who waits"))
    await settle()
    await held.aclose()  # the slot is free now, and the one who waits has not run yet
    await request("who comes later")
    await waiting
    assert order == ["who waits", "who comes later"]


async def test_who_waits_too_long_is_told(serve: Any, connect: Any) -> None:
    upstream = await serve(streaming)
    pool = connect(upstream, max_connections=1, pool_timeout_s=SOON)
    held = await pool.request(b"GET", b"/", [])
    with pytest.raises(PoolTimeout) as error:
        await pool.request(b"GET", b"/", [])
    assert not error.value.sent
    assert not pool._turns, "a queue of those who left would grow"
    await held.aclose()
    await (await pool.request(b"GET", b"/", [])).aclose()


async def test_one_who_gives_up_waiting_takes_no_slot_along(serve: Any, connect: Any) -> None:
    pool = connect(await serve(streaming), max_connections=1)
    held = await pool.request(b"GET", b"/", [])
    waiting = [asyncio.create_task(pool.request(b"GET", b"/", [])) for _ in range(3)]
    await settle()
    waiting[0].cancel()
    await held.aclose()
    waiting[1].cancel()  # its turn has come in this very moment
    await (await waiting[2]).aclose()
    assert [task.cancelled() for task in waiting] == [True, True, False]


async def test_a_kept_connection_whose_new_owner_gave_up_goes_to_the_next(serve: Any, connect: Any) -> None:
    proceed = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await proceed.wait()
        await peer.send(HELLO)
        await hello(peer)

    upstream = await serve(script)
    pool = connect(upstream, max_connections=1)

    async def get_and_cancel_the_second() -> bytes | None:
        body = await get(pool)
        second.cancel()  # which has been given the connection, and has not run yet
        return body

    first = asyncio.create_task(get_and_cancel_the_second())
    await settle()
    second, third = asyncio.create_task(get(pool)), asyncio.create_task(get(pool))
    await settle()
    proceed.set()
    assert (await first, await third) == (b"hello", b"hello")
    assert second.cancelled()
    assert upstream.connections == 1


async def test_a_failed_connection_attempt_lets_the_next_one_try() -> None:
    async with asyncio.timeout(10):
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        pool = Pool(f"http://127.0.0.1:{port}", max_connections=1)
        results = await asyncio.gather(*[get(pool) for _ in range(5)], return_exceptions=True)
        assert [type(result) for result in results] == [ConnectFailed] * 5
        await pool.aclose()


async def test_no_slot_is_lost_or_made_by_any_mixture_of_ends(serve: Any, connect: Any) -> None:
    chance, calm = random.Random(5), asyncio.Event()

    async def moody(peer: Any) -> None:
        while await peer.head():
            ends = ["hello", "hello", "hello and close", "cut", "reset", "garbage", "stream", "nothing"]
            end = "stream" if calm.is_set() else chance.choice(ends)
            if end.startswith("hello"):
                await peer.send(HELLO)
            elif end == "cut":
                await peer.send(HELLO[:-2])
            elif end == "garbage":
                await peer.send(b"garbage\r\n\r\n")
            elif end == "stream":
                await peer.send(STREAM + b"0\r\n\r\n" * (not calm.is_set() and chance.randrange(2)))
            if end == "reset":
                peer.reset()
            if end not in ("hello", "stream"):
                return

    async def client() -> None:
        for _ in range(60):
            request = asyncio.create_task(pool.request(b"GET", b"/", []))
            if chance.random() < 0.3:
                for _ in range(chance.randrange(8)):
                    await asyncio.sleep(0)
                request.cancel()
            with suppress(UpstreamError, asyncio.CancelledError):
                response = await request
                if chance.random() < 0.5:
                    async for _ in response.stream():
                        break
                await response.aclose()

    pool = connect(await serve(moody), max_connections=4, pool_timeout_s=0.3)
    await asyncio.gather(*[client() for _ in range(12)])
    calm.set()
    held = [await pool.request(b"GET", b"/", []) for _ in range(4)]
    with pytest.raises(PoolTimeout):
        await pool.request(b"GET", b"/", [])
    for response in held:
        await response.aclose()


def alive(kind: type[Answer] | type[Connection]) -> int:
    return len([thing for thing in gc.get_objects() if isinstance(thing, kind)])


async def test_a_connection_that_ended_is_forgotten_at_once(serve: Any, connect: Any) -> None:
    async def script(peer: Any) -> None:
        await peer.head()
        await peer.send(HELLO)

    gc.collect()
    upstream, before = await serve(script), alive(Connection)
    pool = connect(upstream, head_timeout_s=3600, keepalive_s=3600)
    await get(pool)
    await upstream.all_closed()
    await settle()
    gc.collect()
    assert alive(Connection) == before


async def test_answers_leave_no_garbage_to_collect(serve: Any, connect: Any) -> None:
    pool = connect(await serve(hello))
    gc.collect()
    before = alive(Answer)
    gc.disable()
    try:
        for _ in range(20):
            await get(pool)
        assert alive(Answer) <= before + 1, "the connection knows its last one"
    finally:
        gc.enable()


async def test_a_closed_pool_closes_idle_connections_and_takes_no_request(serve: Any, connect: Any) -> None:
    upstream = await serve(hello)
    pool = connect(upstream)
    await get(pool)
    await pool.aclose()
    await upstream.all_closed()
    with pytest.raises(PoolClosed) as error:
        await get(pool)
    assert not error.value.sent
    await pool.aclose()


async def test_closing_lets_running_requests_end_in_the_time_it_gives(serve: Any, connect: Any) -> None:
    proceed = asyncio.Event()

    async def script(peer: Any) -> None:
        await peer.head()
        await proceed.wait()
        await peer.send(HELLO)
        await peer.rest()

    upstream = await serve(script)
    pool = connect(upstream, max_connections=1, keepalive_s=3600)
    running, waiting = asyncio.create_task(get(pool)), asyncio.create_task(get(pool))
    await settle()
    closing = asyncio.create_task(pool.aclose(grace_s=60))
    with pytest.raises(PoolClosed):
        await waiting
    assert not closing.done()
    proceed.set()
    assert await running == b"hello"
    await closing
    await upstream.all_closed()


async def test_closing_cuts_requests_that_run_past_the_time_it_gives(serve: Any, connect: Any) -> None:
    async def silent(peer: Any) -> None:
        await peer.rest()

    upstream = await serve(streaming, silent)
    pool = connect(upstream)
    streamed = await pool.request(b"GET", b"/", [])
    running = asyncio.create_task(get(pool))
    await settle()
    await pool.aclose(grace_s=SOON)
    with pytest.raises(Disconnected) as error:
        await running
    assert error.value.sent
    with pytest.raises(Disconnected):
        async for _ in streamed.stream():
            pass
    await upstream.all_closed()


async def test_a_connection_that_is_made_while_the_pool_closes_is_closed_too(
    serve: Any, connect: Any
) -> None:
    async def silent(peer: Any) -> None:
        assert await peer.rest() == b"", "no request comes"

    upstream = await serve(silent)
    pool = connect(upstream)
    request = asyncio.create_task(get(pool))
    await asyncio.sleep(0)
    await pool.aclose()
    with pytest.raises(PoolClosed):
        await request
