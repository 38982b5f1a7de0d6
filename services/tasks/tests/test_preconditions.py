import asyncio
from collections.abc import Callable

import psycopg2
import pytest
from httpx import AsyncClient, Response

from todo_tasks.settings import TasksSettings

CHANGES = [
    ("PUT", "", {"title": "new"}),
    ("PATCH", "", {"title": "new"}),
    ("PATCH", "", {"title": "new", "category": "Made"}),
    ("PATCH", "", {}),
    ("DELETE", "", None),
    ("PATCH", "/complete", None),
    ("POST", "/complete", {"completed": True}),
    ("POST", "/toggle", None),
    ("PATCH", "/uncomplete", None),
]
STALE = ['"1"', '"3"', 'W/"2"', '"1", "3"', '"x"', '""', '"02"', '"99999999999"', '"4294967298"']
CURRENT = ['"2"', "*", '"1", "2"', '"1","2","x,y"', ' "2" ', ',"2",', 'W/"1", "2"']


async def create(client: AsyncClient) -> dict[str, object]:
    task: dict[str, object] = (await client.post("/api/tasks", json={"title": "x"})).json()
    return task


async def at_version_2(client: AsyncClient) -> dict[str, object]:
    task = await create(client)
    changed: dict[str, object] = (await client.post(f"/api/tasks/{task['id']}/complete")).json()
    assert changed["version"] == 2
    return changed


async def send(
    client: AsyncClient, task: dict[str, object], change: tuple[str, str, object], **headers: str
) -> Response:
    method, path, json = change
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.request(method, f"/api/tasks/{task['id']}{path}", json=json, headers=names)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_meant_for_another_version_is_412_and_changes_nothing(
    client: AsyncClient, change: tuple[str, str, object]
) -> None:
    task = await at_version_2(client)
    for if_match in STALE:
        response = await send(client, task, change, if_match=if_match)
        assert response.status_code == 412, if_match
        assert response.headers["content-type"] == "application/problem+json"
    assert (await client.get(f"/api/tasks/{task['id']}")).json() == task
    assert (await client.get("/api/categories")).json() == []


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_meant_for_this_version_is_carried_out(
    client: AsyncClient, change: tuple[str, str, object]
) -> None:
    for if_match in CURRENT:
        response = await send(client, await at_version_2(client), change, if_match=if_match)
        assert response.status_code == (204 if change[0] == "DELETE" else 200), if_match
        if response.status_code == 200:
            assert response.headers["etag"] == f'"{response.json()["version"]}"'


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_meant_for_no_version_or_not_this_one_is_412(
    client: AsyncClient, change: tuple[str, str, object]
) -> None:
    task = await at_version_2(client)
    for if_none_match in ("*", '"2"', 'W/"2"', '"1", "2"'):
        response = await send(client, task, change, if_none_match=if_none_match)
        assert response.status_code == 412
        assert (await client.get(f"/api/tasks/{task['id']}")).json() == task
    assert (await send(client, task, change, if_match='"2"', if_none_match='"1"')).status_code < 300


@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_what_is_no_entity_tag_is_400(client: AsyncClient, method: str, header: str) -> None:
    task = await at_version_2(client)
    for value in ["2", "", '"2', '2"', 'w/"2"', '"1" "2"', '*, "2"', '"2 "', '"é\x7f"', "W/2", ","]:
        response = await client.request(
            method,
            f"/api/tasks/{task['id']}",
            json={"title": "new"},
            headers={header.encode(): value.encode()},
        )
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_header"), value


async def test_lines_of_one_header_are_one_list(client: AsyncClient) -> None:
    task = await at_version_2(client)
    lines = [("if-match", '"1"'), ("if-match", '"2"')]
    response = await client.patch(f"/api/tasks/{task['id']}", json={"title": "new"}, headers=lines)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"2"'}, 304),
        ({"If-None-Match": 'W/"2"'}, 304),
        ({"If-None-Match": '"1", "2"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"1"'}, 200),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Match": '"2"'}, 200),
        ({"If-Match": '"1"'}, 412),
        ({"If-Match": '"1"', "If-None-Match": '"2"'}, 412),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_task_that_the_client_has_already_is_304(
    client: AsyncClient, method: str, headers: dict[str, str], status: int
) -> None:
    task = await at_version_2(client)
    response = await client.request(method, f"/api/tasks/{task['id']}", headers=headers)
    assert response.status_code == status
    if status == 304:
        assert (response.headers["etag"], response.content) == ('"2"', b"")


async def test_preconditions_say_nothing_about_tasks_that_are_not_there(
    client_of: Callable[..., AsyncClient],
) -> None:
    ada, eve = client_of(), client_of()
    task = await at_version_2(ada)
    for change in CHANGES:
        for headers in ({"if_match": '"2"'}, {"if_match": '"9"'}, {"if_match": "*"}, {"if_none_match": "*"}):
            assert (await send(eve, task, change, **headers)).status_code == 404


async def test_of_changes_meant_for_one_version_exactly_one_is_carried_out(client: AsyncClient) -> None:
    task = await at_version_2(client)
    answers = await asyncio.gather(
        *(
            client.patch(
                f"/api/tasks/{task['id']}",
                json={"title": f"by {number}", "category": f"Made by {number}"},
                headers={"If-Match": '"2"'},
            )
            for number in range(12)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 11
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await client.get("/api/tasks")).json() == [won]
    # Nothing is made for the changes that were not.
    assert [category["name"] for category in (await client.get("/api/categories")).json()] == [
        won["category"]
    ]


async def test_a_change_that_waits_for_another_sees_what_that_has_left(
    url: str, client: AsyncClient, a_lock_is_awaited: Callable[[str], bool]
) -> None:
    task = await at_version_2(client)
    change = ("PATCH", "", {"title": "new", "category": "Made"})
    other = psycopg2.connect(url)
    with other.cursor() as cursor:
        cursor.execute("UPDATE task SET version = 3 WHERE id = %s", (task["id"],))
        waiting = asyncio.create_task(send(client, task, change, if_match='"2"'))
        while not a_lock_is_awaited(url):
            await asyncio.sleep(0)
        other.commit()
    other.close()
    assert (await waiting).status_code == 412
    assert (await client.get("/api/categories")).json() == []


async def test_no_increment_is_lost_by_clients_that_ask(client: AsyncClient) -> None:
    task = (await client.post("/api/tasks", json={"title": "x", "position": 0})).json()
    path = f"/api/tasks/{task['id']}"

    async def increment() -> None:
        while True:
            read = await client.get(path)
            changed = await client.patch(
                path,
                json={"position": read.json()["position"] + 1},
                headers={"If-Match": read.headers["etag"]},
            )
            if changed.status_code == 200:
                return
            assert changed.status_code == 412

    await asyncio.gather(*(increment() for _ in range(8)))
    assert (await client.get(path)).json()["position"] == 8


async def test_a_version_can_be_required(
    url: str,
    settings_of: Callable[..., TasksSettings],
    serve: Callable[..., object],
    connect: Callable[..., AsyncClient],
) -> None:
    client = connect(await serve(settings_of(url, require_if_match="on")))  # type: ignore[misc]
    task = await create(client)
    for change in CHANGES:
        response = await send(client, task, change)
        assert (response.status_code, response.json()["title"]) == (428, "Precondition Required")
        assert (await send(client, task, change, if_none_match='"9"')).status_code == 428
    assert (await client.get(f"/api/tasks/{task['id']}")).json() == task
    assert (await send(client, task, ("POST", "/toggle", None), if_match="*")).status_code == 200
    assert (await send(client, task, ("DELETE", "", None), if_match='"2"')).status_code == 204
    # Nothing can be lost by it.
    assert (await client.post(f"/api/tasks/{task['id']}/restore")).status_code == 200
