import asyncio
from collections.abc import Callable

import asyncpg
import psycopg2
import pytest
from asyncpg.transaction import Transaction
from httpx import AsyncClient, Response

Execute = Callable[..., list[tuple[object, ...]]]
ClientOf = Callable[..., AsyncClient]

CREATIONS = [
    ("/api/tasks", {"title": "x", "category": "Home", "due_date": "2030-01-31"}),
    ("/api/tasks", {"title": "x"}),
    ("/api/categories", {"name": "Garden", "color": "green"}),
]
REPLAYED = ("location", "etag", "content-type", "content-length")


async def post(client: AsyncClient, path: str, json: object = None, key: str = '"a-key"') -> Response:
    return await client.post(path, json=json, headers={"Idempotency-Key": key})


def same(first: Response, second: Response) -> bool:
    return (first.status_code, first.content) == (second.status_code, second.content) and all(
        first.headers.get(name) == second.headers.get(name) for name in REPLAYED
    )


async def state(client: AsyncClient) -> list[bytes]:
    return [(await client.get(path)).content for path in ("/api/tasks", "/api/categories")]


@pytest.mark.parametrize(("path", "json"), CREATIONS)
async def test_a_repeated_creation_is_answered_as_the_first_and_carried_out_once(
    client: AsyncClient, path: str, json: dict[str, object]
) -> None:
    first = await post(client, path, json)
    assert first.status_code == 201
    before = await state(client)
    again = await post(client, path, json)
    assert same(first, again)
    assert again.headers["location"] == f"{path}/{first.json()['id']}"
    assert await state(client) == before


async def test_the_first_answer_is_the_plain_one(client: AsyncClient) -> None:
    keyed = await post(client, "/api/tasks", {"title": "x", "category": "Home"})
    plain = await client.post("/api/tasks", json={"title": "x", "category": "Home"})
    assert (keyed.status_code, keyed.headers.keys()) == (plain.status_code, plain.headers.keys())
    assert (await client.get(keyed.headers["location"])).content == keyed.content
    changing = ("id", "position", "created_at", "updated_at")
    first, second = keyed.json(), plain.json()
    assert {name: first[name] for name in first if name not in changing} == {
        name: second[name] for name in second if name not in changing
    }


async def test_the_first_answer_is_kept_whatever_became_of_the_task(client: AsyncClient) -> None:
    first = await post(client, "/api/tasks", {"title": "x"})
    await client.patch(first.headers["location"], json={"title": "y"})
    assert same(first, await post(client, "/api/tasks", {"title": "x"}))
    await client.delete(first.headers["location"])
    assert same(first, await post(client, "/api/tasks", {"title": "x"}))
    assert (await client.get("/api/tasks")).json() == []


@pytest.mark.parametrize("word", ["complete", "toggle", "uncomplete"])
async def test_a_repeated_toggle_is_one_toggle(client: AsyncClient, word: str) -> None:
    task = (await client.post("/api/tasks", json={"title": "x"})).json()
    path = f"/api/tasks/{task['id']}"
    first = await post(client, f"{path}/{word}")
    assert first.status_code == 200
    after = (await client.get(path)).content
    assert same(first, await post(client, f"{path}/{word}"))
    assert (await client.get(path)).content == after
    # A PATCH of its own is no repetition.
    await client.patch(f"{path}/toggle", headers={"Idempotency-Key": '"a-key"'})
    assert (await client.get(path)).content != after


async def test_a_repetition_is_known_although_the_version_has_moved_on(client: AsyncClient) -> None:
    task = (await client.post("/api/tasks", json={"title": "x"})).json()
    path = f"/api/tasks/{task['id']}/toggle"
    headers = {"Idempotency-Key": "k", "If-Match": '"1"'}
    first = await client.post(path, headers=headers)
    assert first.status_code == 200
    assert same(first, await client.post(path, headers=headers))
    assert (await client.post(path, headers={"If-Match": '"1"'})).status_code == 412


async def test_a_repeated_restoration_is_no_conflict(client: AsyncClient) -> None:
    task = (await client.post("/api/tasks", json={"title": "x"})).json()
    path = f"/api/tasks/{task['id']}"
    await client.delete(path)
    first = await post(client, f"{path}/restore")
    assert first.status_code == 200
    assert same(first, await post(client, f"{path}/restore"))
    assert (await client.post(f"{path}/restore")).status_code == 409


async def test_a_body_that_means_the_same_is_the_same(client: AsyncClient) -> None:
    first = await post(client, "/api/tasks", {"title": "x", "due_date": "2030-01-31"})
    content = b'{ "dueDate": "2030-01-31", "version": 7,\n "title": " x" }'
    again = await client.post(
        "/api/tasks/",
        content=content,
        headers={"Idempotency-Key": "a-key", "Content-Type": "application/json"},
    )
    assert same(first, again)


@pytest.mark.parametrize(
    ("path", "json"),
    [
        ("/api/tasks", {"title": "y"}),
        ("/api/tasks", {"title": "x", "priority": "low"}),
        ("/api/tasks", {"title": "x", "category": None}),
        ("/api/categories", {"name": "x"}),
    ],
)
async def test_a_key_used_for_something_else_is_422_and_nothing_is_done(
    client: AsyncClient, path: str, json: dict[str, object]
) -> None:
    await post(client, "/api/tasks", {"title": "x"})
    before = await state(client)
    response = await post(client, path, json)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert response.headers["content-type"] == "application/problem+json"
    assert await state(client) == before


async def test_a_key_used_for_one_task_is_not_for_another(client: AsyncClient) -> None:
    tasks = [(await client.post("/api/tasks", json={"title": "x"})).json() for _ in range(2)]
    first, second = (f"/api/tasks/{task['id']}" for task in tasks)
    assert (await post(client, f"{first}/toggle")).status_code == 200
    for path in (f"{second}/toggle", f"{first}/complete", f"{first}/restore"):
        assert (await post(client, path)).status_code == 422
    assert (await client.get(second)).json()["completed"] is False


async def test_a_key_is_the_users_own(client_of: ClientOf) -> None:
    ada, eve = client_of(), client_of()
    first = await post(ada, "/api/tasks", {"title": "x"})
    other = await post(eve, "/api/tasks", {"title": "x"})
    assert other.status_code == 201
    assert other.json()["id"] != first.json()["id"]
    assert other.json()["user_id"] == eve.headers["x-user-id"]


@pytest.mark.parametrize(("path", "json"), CREATIONS)
async def test_a_creation_whose_connection_is_lost_behind_its_commit_is_answered_and_carried_out_once(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str, json: dict[str, object]
) -> None:
    end, losses = Transaction.__aexit__, ["the answer to COMMIT"]

    async def lose(self: Transaction, *args: object) -> None:
        await end(self, *args)
        if losses:
            losses.pop()
            raise asyncpg.ConnectionDoesNotExistError("gone")

    monkeypatch.setattr(Transaction, "__aexit__", lose)
    response = await post(client, path, json)
    assert response.status_code == 201 and not losses
    assert [one["id"] for one in (await client.get(path)).json()] == [response.json()["id"]]
    assert same(response, await post(client, path, json))


async def test_a_refused_request_is_not_kept(client: AsyncClient) -> None:
    unknown = {"title": "x", "category_id": "00000000-0000-7000-8000-000000000000"}
    for _ in range(2):
        assert (await post(client, "/api/tasks", unknown)).status_code == 422
    assert (await post(client, "/api/tasks/00000000-0000-7000-8000-000000000000/toggle")).status_code == 404
    assert (await post(client, "/api/tasks", {"title": "x"})).status_code == 201


async def test_a_name_that_is_taken_is_refused_however_often(client: AsyncClient) -> None:
    await client.post("/api/categories", json={"name": "Home"})
    for _ in range(2):
        response = await post(client, "/api/categories", {"name": "HOME"})
        assert (response.status_code, response.json()["errors"]) == (
            409,
            [{"pointer": "/name", "detail": "is taken"}],
        )


async def test_of_repetitions_at_once_one_is_carried_out(client: AsyncClient) -> None:
    answers = await asyncio.gather(
        *(post(client, "/api/tasks", {"title": "x", "category": "Home"}) for _ in range(12))
    )
    created = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert created and all(same(created[0], answer) for answer in created)
    assert len((await client.get("/api/tasks")).json()) == 1


async def test_while_the_first_is_under_way_a_repetition_is_409(url: str, client: AsyncClient) -> None:
    first = psycopg2.connect(url)
    with first.cursor() as cursor:
        cursor.execute(
            "INSERT INTO idempotency_key VALUES (%s, 'a-key', '', gen_random_uuid(), 1, '{}', now())",
            (client.headers["x-user-id"],),
        )
        response = await post(client, "/api/tasks", {"title": "x"})
        assert (response.status_code, response.headers["retry-after"]) == (409, "1")
        assert response.json()["error"]["code"] == "idempotency_key_in_use"
        # Another key waits for nothing.
        assert (await post(client, "/api/tasks", {"title": "x"}, '"another"')).status_code == 201
    first.rollback()
    assert (await post(client, "/api/tasks", {"title": "x"})).status_code == 201
    assert len((await client.get("/api/tasks")).json()) == 2
    first.close()


async def test_the_waiting_time_ends_with_its_transaction(
    client: AsyncClient, execute: Execute, url: str
) -> None:
    await post(client, "/api/tasks", {"title": "x"})
    database = client._transport.app.state.database  # type: ignore[attr-defined]
    connection = await database._opened().acquire()
    assert await connection.fetchval("SHOW lock_timeout") == "0"
    database._opened().release(connection)


@pytest.mark.parametrize(
    ("one", "other"),
    [('"8e03978e-40d5"', "8e03978e-40d5"), (r'"a\"b\\c"', r'"a\"b\\c"'), ("x" * 255, f'"{"x" * 255}"')],
)
async def test_a_key_is_a_string_in_its_quotes_or_without(client: AsyncClient, one: str, other: str) -> None:
    first = await post(client, "/api/tasks", {"title": "x"}, one)
    assert first.status_code == 201
    assert same(first, await post(client, "/api/tasks", {"title": "x"}, other))


async def test_what_is_no_key_is_400(client: AsyncClient) -> None:
    for key in (
        "",
        '""',
        '"a',
        "a b",
        '"a b"',
        '"a"; p=1',
        '"a", "b"',
        r'"\a"',
        "x" * 256,
        '"' + "x" * 256 + '"',
    ):
        response = await post(client, "/api/tasks", {"title": "x"}, key)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_header"), key
    for raw in (b"\xc3\xa9", b'"\xe9"', b"a\x7f"):
        response = await client.post("/api/tasks", json={"title": "x"}, headers={b"idempotency-key": raw})
        assert response.status_code == 400
    twice = [("idempotency-key", "a"), ("idempotency-key", "a")]
    assert (await client.post("/api/tasks", json={"title": "x"}, headers=twice)).status_code == 400
    assert (await client.get("/api/tasks")).json() == []
