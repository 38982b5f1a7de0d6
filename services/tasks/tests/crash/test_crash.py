"""Writes at full speed while a part of the system is killed: what was acknowledged is there, and what has a
key is there once.

`CRASH_ROUNDS` (by default each part once) and `CRASH_SEED` (printed where a round fails) in the environment.

Task: T-054 · Spec: plan.md#crash
"""

import asyncio
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import pytest

from todo_auth.identity import IdentityMinter

Execute = Callable[..., list[tuple[object, ...]]]

WRITERS = 6
PARTS = ("kill_service", "kill_database", "shut_database_down_immediately", "kill_proxy")
ROUNDS = int(os.environ.get("CRASH_ROUNDS", len(PARTS)))
SEED = int(os.environ.get("CRASH_SEED", secrets.randbits(32)))


class System(Protocol):
    """What the test uses of conftest's."""

    address: str
    secret: str
    url: str
    log: str


@dataclass
class Writer:
    """A user who writes without a pause, and remembers what was promised."""

    system: System
    random: random.Random
    user_id: str = field(default_factory=lambda: f"user-{secrets.token_hex(8)}")
    created: set[str] = field(default_factory=set)
    keyed: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    sent: int = 0
    unanswered: int = 0
    changed: int = 0
    """The newest change of the one task that is changed over and over, acknowledged and sent; and so on."""
    change_sent: int = 0
    colour: int = 0
    colour_sent: int = 0

    async def write(self, enough: asyncio.Event) -> None:
        """Until `enough`. Every answer is a promise; no answer, and 503, is none."""
        minter = IdentityMinter((self.system.secret,))
        limits = httpx.Timeout(30)
        async with httpx.AsyncClient(base_url=self.system.address, timeout=limits) as client:

            async def ask(
                method: str, path: str, key: str | None = None, **json: object
            ) -> httpx.Response | None:
                headers = {"X-User-Id": self.user_id, "Txn-Token": minter.mint(self.user_id)}
                if key:
                    headers["Idempotency-Key"] = key
                try:
                    answer = await client.request(method, path, headers=headers, json=json or None)
                except httpx.TransportError:
                    answer = None
                if answer is None or answer.status_code in (409, 503):
                    self.unanswered += 1
                    await asyncio.sleep(0.02)
                    return None
                assert answer.status_code < 300, f"{answer.status_code} {answer.text} {self.system.log}"
                return answer

            async def surely(
                method: str, path: str, key: str | None = None, **json: object
            ) -> httpx.Response:
                while (answer := await ask(method, path, key, **json)) is None:
                    pass
                return answer

            task = (await surely("POST", "/api/tasks", secrets.token_hex(8), title="0")).json()["id"]
            made = await surely("POST", "/api/categories", secrets.token_hex(8), name=secrets.token_hex(8))
            category = made.json()["id"]
            while not enough.is_set():
                self.sent += 1
                title = f"task {secrets.token_hex(8)}"
                kind = self.random.choice(("plain", "keyed", "keyed", "change", "delete", "colour"))
                if kind == "plain" and await ask("POST", "/api/tasks", title=title):
                    self.created.add(title)
                if kind == "keyed":
                    key = secrets.token_hex(8)
                    first = await surely("POST", "/api/tasks", key, title=title)
                    self.keyed.add(title)
                    # As a client does that has lost its answer.
                    again = await surely("POST", "/api/tasks", key, title=title)
                    assert again.json()["id"] == first.json()["id"]
                if kind == "change":
                    self.change_sent += 1
                    if await ask("PATCH", f"/api/tasks/{task}", title=str(self.change_sent)):
                        self.changed = self.change_sent
                if kind == "delete":
                    made = await surely("POST", "/api/tasks", secrets.token_hex(8), title=title)
                    if await ask("DELETE", f"/api/tasks/{made.json()['id']}"):
                        self.deleted.add(title)
                if kind == "colour":
                    self.colour_sent += 1
                    if await ask("PATCH", f"/api/categories/{category}", color=str(self.colour_sent)):
                        self.colour = self.colour_sent

    def judge(self, execute: Execute) -> None:
        """Compare what was promised with what is there, past the service."""
        url, of_mine = self.system.url, "FROM task WHERE user_id = %s"
        rows = execute(url, f"SELECT title, deleted_at IS NULL {of_mine}", self.user_id)
        titles = [str(title) for title, _ in rows]
        live = {str(title) for title, is_live in rows if is_live}
        assert self.created | self.keyed <= live, "an acknowledged task is gone"
        assert not self.deleted & live, "an acknowledged deletion was forgotten"
        assert len(titles) == len(set(titles)), "a request was carried out twice"
        ((changed,),) = execute(url, f"SELECT max(title::int) {of_mine} AND title ~ '^[0-9]+$'", self.user_id)
        ((colour,),) = execute(
            url, "SELECT coalesce(color, '0')::int FROM category WHERE user_id = %s", self.user_id
        )
        assert isinstance(changed, int) and self.changed <= changed <= self.change_sent
        assert isinstance(colour, int) and self.colour <= colour <= self.colour_sent


@pytest.mark.timeout(60 + 20 * ROUNDS)
async def test_what_was_acknowledged_survives_a_crash_and_nothing_is_done_twice(
    system: System, execute: Execute
) -> None:
    chance = random.Random(SEED)
    for round_ in range(ROUNDS):
        part = PARTS[round_ % len(PARTS)]
        writers = [Writer(system, random.Random(chance.random())) for _ in range(WRITERS)]
        enough = asyncio.Event()
        writing = asyncio.gather(*(writer.write(enough) for writer in writers))
        while not any(writer.created for writer in writers) and not writing.done():
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.uniform(0, 0.7))
        await asyncio.to_thread(getattr(system, part))
        sent = [writer.sent for writer in writers]
        # Everybody has been served again, and nothing is left in between.
        while any(writer.sent < before + 2 for writer, before in zip(writers, sent, strict=True)):
            if writing.done():
                break
            await asyncio.sleep(0.01)
        enough.set()
        await writing
        for writer in writers:
            try:
                writer.judge(execute)
            except AssertionError as error:
                error.add_note(f"round {round_} ({part}), CRASH_SEED={SEED}")
                raise
        promises = sum(len(w.created | w.keyed | w.deleted) + w.changed + w.colour for w in writers)
        unanswered = sum(writer.unanswered for writer in writers)
        print(f"round {round_}: {part}, {promises} promises kept, {unanswered} requests unanswered")
