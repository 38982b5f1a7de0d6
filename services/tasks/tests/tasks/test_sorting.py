import asyncio
import random
import re

import pytest
from httpx import AsyncClient

from todo_tasks.tasks.sorting import SORTS


async def fill(client: AsyncClient) -> None:
    chance = random.Random(7)
    for number in range(23):
        await client.post(
            "/api/tasks",
            json={
                "title": chance.choice(["a", "B", "c", "Ä", "zz"]),
                "status": chance.choice(["pending", "in_progress", "completed"]),
                "priority": chance.choice(["low", "medium", "high", "urgent"]),
                "due_date": chance.choice(
                    [None, "2030-01-01", "2030-01-01T23:59:59Z", f"2031-01-0{1 + number % 9}"]
                ),
                "position": chance.choice([-1.5, 0, 7, 1e300]),
            },
        )


def next_of(link: str) -> str:
    match = re.fullmatch(r'<(\?[^>]*)>; rel="next"', link)
    assert match
    return match[1]


@pytest.mark.parametrize("limit", [1, 4])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", SORTS)
async def test_pages_neither_skip_nor_repeat(client: AsyncClient, sort: str, order: str, limit: int) -> None:
    await fill(client)
    whole = (await client.get(f"/api/tasks?sort_by={sort}&order={order}")).json()
    assert len(whole) == 23
    pages, query = [], f"?sort_by={sort}&order={order}&limit={limit}"
    while True:
        response = await client.get(f"/api/tasks{query}")
        assert response.status_code == 200, response.text
        pages += response.json()
        if "link" not in response.headers:
            break
        query = next_of(response.headers["link"])
    assert [task["id"] for task in pages] == [task["id"] for task in whole]
    values = [task[SORTS[sort].wire] for task in whole]
    if None in values:
        # Nulls come last, either way.
        assert set(values[values.index(None) :]) == {None}


async def test_a_page_goes_on_where_it_ended_while_tasks_come_and_go(client: AsyncClient) -> None:
    await fill(client)
    first = await client.get("/api/tasks?limit=5")
    rest = {task["id"] for task in (await client.get("/api/tasks")).json()[5:]}
    await client.delete(f"/api/tasks/{first.json()[4]['id']}")
    await client.post("/api/tasks", json={"title": "new, and before the second page"})
    second = await client.get(
        f"/api/tasks{next_of(first.headers['link'])}&limit=1000".replace("limit=5&", "")
    )
    assert {task["id"] for task in second.json()} == rest


@pytest.mark.parametrize(
    "query", ["sort_by=created_at", "sort_by=title&order=desc", "sort_by=due_date", "sort_by=position"]
)
async def test_tasks_that_stay_are_listed_once_while_others_are_written(
    client: AsyncClient, query: str
) -> None:
    await fill(client)
    staying = {task["id"] for task in (await client.get("/api/tasks")).json()}
    done = asyncio.Event()

    async def write(title: str) -> None:
        """Tasks come, before and after the reader's place, are changed, and go."""
        while not done.is_set():
            made = await client.post(
                "/api/tasks", json={"title": title, "due_date": "2030-01-01", "position": 0}
            )
            where = f"/api/tasks/{made.json()['id']}"
            await client.patch(where, json={"title": f"B {title}", "position": 7})
            await client.delete(where)

    writers = [asyncio.create_task(write(title)) for title in ("a", "c", "zzz")]
    for _ in range(3):
        seen, following = [], f"?{query}&limit=2"
        while following:
            response = await client.get(f"/api/tasks{following}")
            seen += [task["id"] for task in response.json() if task["id"] in staying]
            following = next_of(response.headers["link"]) if "link" in response.headers else ""
        assert sorted(seen) == sorted(staying)
    done.set()
    await asyncio.gather(*writers)


async def test_the_next_page_keeps_the_query(client: AsyncClient) -> None:
    for _ in range(3):
        await client.post("/api/tasks", json={"title": "a & b = ü", "tags": ["t"]})
    response = await client.get("/api/tasks?search=%26+b&tag=t&limit=1&count=true&offset=1")
    assert response.headers["x-total-count"] == "3"
    query = next_of(response.headers["link"])
    assert query.startswith("?search=%26+b&tag=t&limit=1&count=true&cursor=")
    following = await client.get(f"/api/tasks{query}")
    assert (len(following.json()), following.headers["x-total-count"]) == (1, "3")
    assert "link" not in following.headers
