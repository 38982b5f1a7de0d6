import pytest
from httpx import AsyncClient

TASKS = [
    ("Straße fegen", "vor dem Haus"),
    ("ΟΔΟΣ και ΣΊΣΥΦΟΣ", None),
    ("买牛奶和面包", None),
    ("Позвонить Éva", "E\u0301va"),
    ("Report 100% of_all", "quarterly\nnumbers"),
    ("İstanbul ılık", None),
    ("back\\slash", None),
]


@pytest.fixture
async def searched(client: AsyncClient) -> AsyncClient:
    for title, description in TASKS:
        await client.post("/api/tasks", json={"title": title, "description": description})
    return client


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("STRASSE", 0),
        ("strasse haus", 0),
        ("haus straße", 0),
        ("οδος", 1),
        ("σίσυφος ΟΔΟΣ", 1),
        ("牛奶", 2),
        ("ПОЗВОНИТЬ", 3),
        ("e\u0301VA", 3),
        ("ÉVA позв", 3),
        ("rep", 4),
        ("NUMBERS report", 4),
        ("quarter 100", 4),
        ("100%", 4),
        ("%", 4),
        ("_", 4),
        ("f_a", 4),
        ("i\u0307stan", 5),
        ("\\", 6),
        ("k\\s", 6),
    ],
)
async def test_every_word_is_found_in_any_order_case_and_script(
    searched: AsyncClient, words: str, found: int
) -> None:
    for name in ("search", "q"):
        response = await searched.get("/api/tasks", params={name: words})
        assert [task["title"] for task in response.json()] == [TASKS[found][0]]


@pytest.mark.parametrize("words", ["100_", "r%t", "haus garten", "牛肉", "all quarterlynumbers"])
async def test_what_is_not_there_is_not_found(searched: AsyncClient, words: str) -> None:
    assert (await searched.get("/api/tasks", params={"q": words})).json() == []


async def test_what_was_changed_is_found_as_it_is_now(client: AsyncClient) -> None:
    task = (await client.post("/api/tasks", json={"title": "Old", "description": "Gone"})).json()
    path = f"/api/tasks/{task['id']}"
    for change, word in [
        ({"title": "ÄPFEL"}, "äpfel"),
        ({"title": "lower"}, "LOWER"),
        ({"description": "ÜBER"}, "über"),
        ({"description": "lower still"}, "STILL"),
    ]:
        await client.patch(path, json=change)
        assert len((await client.get("/api/tasks", params={"q": word})).json()) == 1
    await client.patch(path, json={"description": None})
    for word in ("old", "äpfel", "gone", "über", "still"):
        assert (await client.get("/api/tasks", params={"q": word})).json() == []


async def test_titles_are_sorted_without_regard_to_case_in_any_script(client: AsyncClient) -> None:
    for title in ("éclair", "ZEBRA", "Éclair", "apple", "zebra", "Apple"):
        await client.post("/api/tasks", json={"title": title})
    titles = [task["title"] for task in (await client.get("/api/tasks?sort=title")).json()]
    groups = [titles[0:2], titles[2:4], titles[4:6]]
    assert sorted(map(sorted, groups)) == sorted(
        [["Apple", "apple"], ["ZEBRA", "zebra"], ["Éclair", "éclair"]]
    )
