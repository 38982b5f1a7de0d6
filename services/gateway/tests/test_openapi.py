"""One document out of several services' own."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from todo_auth import IdentityMinter
from todo_auth.testing import Clock
from todo_gateway.openapi import KEPT_S, Document, Source, merge
from todo_gateway.upstream import ConnectFailed
from todo_service.problems import Problem

MINTER = IdentityMinter(["a secret that is long enough to be one"])


def document(path: str, schema: dict[str, Any], **members: Any) -> dict[str, Any]:
    operation = {
        "operationId": "read",
        "security": [{"theirs": []}],
        "responses": {"200": {"$ref": "#/components/schemas/Item"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "One", "version": "1"},
        "paths": {path: {"get": operation}},
        "components": {"schemas": {"Item": schema}, "securitySchemes": {"theirs": {}}},
        **members,
    }


class Service:
    """A service behind, as far as its document goes."""

    def __init__(self, document: object, status: int = 200) -> None:
        self.document, self.status = document, status
        self.gate: asyncio.Event | None = None
        self.is_down = False
        self.asked: list[list[tuple[bytes, bytes]]] = []

    async def request(self, method: bytes, target: bytes, headers: Any, body: None) -> Any:
        self.asked.append(list(headers))
        if self.gate is not None:
            await self.gate.wait()
        if self.is_down:
            raise ConnectFailed("refused")
        return Answer(self.status, json.dumps(self.document).encode())


class Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body, self._pieces = status, None, body

    async def stream(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._pieces), 50):
            yield self._pieces[start : start + 50]

    async def aclose(self) -> None:
        pass


def source(name: str, service: Service, **changes: Any) -> Source:
    return Source(name, service.request, prefix=f"/{name}", **changes)


async def read(document: Document) -> dict[str, Any]:
    return dict(json.loads(await document.read()))


async def test_components_of_one_name_that_differ_are_told_apart() -> None:
    a, b = Service(document("/a", {"type": "string"})), Service(document("/b", {"type": "integer"}))
    merged = await read(Document([source("a", a), source("b", b)], MINTER))
    assert set(merged["paths"]) == {"/a", "/b"}
    assert merged["components"]["schemas"]["Item"] == {"type": "string"}
    assert merged["components"]["schemas"]["b-Item"] == {"type": "integer"}
    b_operation = merged["paths"]["/b"]["get"]
    assert b_operation["responses"]["200"] == {"$ref": "#/components/schemas/b-Item"}
    assert (merged["paths"]["/a"]["get"]["operationId"], b_operation["operationId"]) == ("read", "b-read")
    assert set(merged["components"]["securitySchemes"]) == {"bearer"}
    assert merged["info"]["title"] == "API"


async def test_components_of_one_name_that_agree_are_one() -> None:
    services = [Service(document(path, {"type": "string"})) for path in ("/a", "/b")]
    merged = await read(Document([source("a", services[0]), source("b", services[1])], MINTER))
    assert set(merged["components"]["schemas"]) == {"Item", "Problem"}


def test_a_path_that_the_gateway_does_not_reach_is_not_shown() -> None:
    part = document("/a/x", {})
    part["paths"]["/abc"] = part["paths"]["/internal"] = {"get": {"responses": {}}}
    assert set(merge([(source("a", Service(None)), part)])["paths"]) == {"/a/x"}


def test_the_paths_of_a_service_that_does_not_know_its_prefix_get_it() -> None:
    merged = merge([(source("a", Service(None), mount="/a"), document("/x", {}))])
    assert set(merged["paths"]) == {"/a/x"}


async def test_a_public_service_is_shown_without_credentials_and_asked_without_identity() -> None:
    service = Service(document("/a", {}))
    merged = await read(Document([source("a", service, is_public=True)], MINTER))
    operation = merged["paths"]["/a"]["get"]
    assert operation["security"] == []
    assert "401" not in operation["responses"]
    assert "503" in operation["responses"]
    assert service.asked == [[]]


async def test_a_service_that_is_away_does_not_hide_the_others_and_comes_back() -> None:
    a, b = Service(document("/a", {})), Service(document("/b", {}))
    b.is_down = True
    merged = Document([source("a", a), source("b", b)], MINTER)
    assert set((await read(merged))["paths"]) == {"/a"}
    b.is_down = False
    assert set((await read(merged))["paths"]) == {"/a", "/b"}
    assert len(a.asked) == 1


async def test_a_document_is_asked_for_again_after_a_while_and_shown_as_it_was_while_nobody_answers() -> None:
    clock, service = Clock(), Service(document("/a/old", {}))
    merged = Document([source("a", service)], MINTER, now=clock)
    await read(merged)
    service.document = document("/a/new", {})
    clock.moment += KEPT_S - 1
    assert set((await read(merged))["paths"]) == {"/a/old"}
    clock.moment += 1
    service.is_down = True
    assert set((await read(merged))["paths"]) == {"/a/old"}
    service.is_down = False
    assert set((await read(merged))["paths"]) == {"/a/new"}


async def test_a_hundred_who_ask_a_slow_service_are_one_request() -> None:
    service = Service(document("/a", {}))
    service.gate = asyncio.Event()
    merged = Document([source("a", service)], MINTER)
    waiting = [asyncio.ensure_future(merged.read()) for _ in range(100)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    service.gate.set()
    assert all(json.loads(text)["paths"] for text in await asyncio.gather(*waiting[1:]))
    assert len(service.asked) == 1


async def test_nobody_with_a_document_is_a_problem() -> None:
    services = Service([], 200), Service(document("/b", {}), 500)
    with pytest.raises(Problem) as caught:
        await Document([source("a", services[0]), source("b", services[1])], MINTER).read()
    assert caught.value.status == 502


async def test_a_description_that_is_too_large_is_a_problem() -> None:
    service = Service(document("/a", {"description": "x" * 4_200_000}))
    with pytest.raises(Problem) as caught:
        await Document([source("a", service)], MINTER).read()
    assert caught.value.status == 502
