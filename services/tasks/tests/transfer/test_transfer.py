"""Export and import: what comes back is what was there."""

import csv
import io
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from httpx import AsyncClient
from todo_tasks import ownership, schema
from todo_tasks.engine import make_engine
from todo_tasks.transfer import export as exporting
from todo_tasks.transfer import load as loading
from todo_tasks.transfer.export import export
from todo_tasks.transfer.formats import Format, Read, read_csv, read_json
from todo_tasks.transfer.load import Imported, Refused, load
from todo_tasks.transfer.progress import Progress

Execute = Callable[..., list[tuple[object, ...]]]
HOME = {
    "type": "category",
    "id": "01980000-0000-7000-8000-000000000001",
    "name": "Home",
    "created_at": "2030-01-01T00:00:00Z",
    "updated_at": "2030-01-01T00:00:00Z",
}
TITLES = [
    "plain",
    '=HYPERLINK("x")',
    "'=quoted",
    "'plain quote",
    "-1",
    'zwei\nZeilen, "mit" ,;',
    "日本語 İß",
    "a\rb",
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url, 5)
    yield engine
    engine.dispose()


def written(engine: Engine, user_id: str, format_: Format = "jsonl") -> str:
    out = io.StringIO(newline="")
    export(engine, user_id, format_, out, Progress(io.StringIO(), "records"))
    return out.getvalue()


def imported(engine: Engine, user_id: str, text: str | bytes, format_: Format = "jsonl") -> Imported:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    read = read_csv if format_ == "csv" else read_json
    return load(engine, user_id, read(file), Progress(io.StringIO(), "records"))


async def fill(client: AsyncClient) -> str:
    """Tasks of every kind. Returns the user's id."""
    await client.post("/api/categories", json={"name": "Empty", "color": "#fff"})
    for number, title in enumerate(TITLES):
        sent: dict[str, Any] = {"title": title, "description": title * 3, "position": number - 1.5}
        if number % 2:
            sent |= {"category": f"=Cat {number % 3}", "tags": ["a, b", '"c"', "é"], "completed": True}
        if number % 3:
            sent["due_date"] = ["2030-01-31", "2030-01-31T10:00:00.123456789+02:00"][number % 2]
        made = await client.post("/api/tasks", json=sent)
        assert made.status_code == 201, made.text
    await client.patch(made.headers["location"], json={"priority": "urgent"})
    trashed = await client.post("/api/tasks", json={"title": "trashed"})
    await client.delete(trashed.headers["location"])
    return client.headers["x-user-id"]


async def everything(client: AsyncClient) -> list[Any]:
    paths = ("/api/tasks", "/api/tasks?deleted=true", "/api/categories", "/api/tasks?search=hyperlink")
    return [(await client.get(path)).json() for path in paths]


async def test_json_lines_lose_nothing(
    client: AsyncClient, engine: Engine, url: str, execute: Execute
) -> None:
    user_id = await fill(client)
    rows = "SELECT t.* FROM {} t WHERE user_id = %s ORDER BY id"
    before = [execute(url, rows.format(name), user_id) for name in ("task", "category")]
    answers, text = await everything(client), written(engine, user_id)
    assert len(text.splitlines()) == len(text.split("\n")) - 1 == len(TITLES) + 1 + 4
    for name in ("task", "category"):
        execute(url, f"DELETE FROM {name} WHERE user_id = %s", user_id)
    assert imported(engine, user_id, text) == Imported(4, len(TITLES) + 1, 0)
    assert [execute(url, rows.format(name), user_id) for name in ("task", "category")] == before
    assert await everything(client) == answers
    assert written(engine, user_id) == text


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
async def test_importing_again_changes_nothing(client: AsyncClient, engine: Engine, format_: Format) -> None:
    user_id = await fill(client)
    text = written(engine, user_id, format_)
    first, *_ = (await client.get("/api/tasks")).json()
    await client.patch(f"/api/tasks/{first['id']}", json={"title": "changed since"})
    category, *_ = (await client.get("/api/categories")).json()
    await client.patch(f"/api/categories/{category['id']}", json={"name": "renamed since"})
    answers = await everything(client)
    for _ in range(2):
        again = imported(engine, user_id, text, format_)
        assert (again.categories, again.tasks) == (0, 0)
        assert again.there_already == len(TITLES) + 1 + (4 if format_ == "jsonl" else 0)
    assert await everything(client) == answers


async def test_csv_keeps_the_tasks(client: AsyncClient, engine: Engine, client_of: Any) -> None:
    user_id = await fill(client)
    text = written(engine, user_id, "csv")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    titles = {row["title"] for row in rows}
    assert titles >= {"plain", '\'=HYPERLINK("x")', "''=quoted", "''plain quote", "'-1"}
    for row in rows:
        for name in ("title", "description", "category"):
            assert not row[name].startswith(("=", "+", "-", "@", "\t", "\r"))
    other = client_of()
    assert imported(engine, other.headers["x-user-id"], text, "csv").tasks == len(TITLES) + 1
    changing = ("user_id", "category_id")
    of_both = [
        [{name: value for name, value in task.items() if name not in changing} for task in tasks]
        for one in (client, other)
        for tasks in (await everything(one))[:2]
    ]
    assert of_both[:2] == of_both[2:]
    assert imported(engine, other.headers["x-user-id"], "\ufeff" + text, "csv").tasks == 0


async def test_another_users_file_makes_rows_of_ones_own(
    client: AsyncClient, engine: Engine, client_of: Any
) -> None:
    text = written(engine, await fill(client))
    before, other = await everything(client), client_of()
    imported(engine, other.headers["x-user-id"], text)
    assert await everything(client) == before
    assert {task["user_id"] for task in (await other.get("/api/tasks")).json()} == {
        other.headers["x-user-id"]
    }


async def test_a_category_whose_name_is_taken_is_that_one(
    client: AsyncClient, engine: Engine, client_of: Any
) -> None:
    await client.post("/api/tasks", json={"title": "x", "category": "Home"})
    text = written(engine, client.headers["x-user-id"])
    other = client_of()
    own = (await other.post("/api/categories", json={"name": "HOME"})).json()
    assert imported(engine, other.headers["x-user-id"], text) == Imported(0, 1, 1)
    (task,) = (await other.get("/api/tasks")).json()
    assert (task["category"], task["category_id"]) == ("HOME", own["id"])


def line(**more: object) -> str:
    task = {
        "type": "task",
        "id": "01980000-0000-7000-8000-000000000000",
        "title": "x",
        "tags": [],
        "position": 1,
        "created_at": "2030-01-01T00:00:00Z",
        "updated_at": "2030-01-01T00:00:00Z",
    }
    return json.dumps(task | more)


@pytest.mark.parametrize(
    ("bad", "detail"),
    [
        ("{", "it is not JSON"),
        ("[]", 'is not an object with the type "category" or "task"'),
        ('{"type":"list"}', 'is not an object with the type "category" or "task"'),
        (b"\xff\n", "it is not UTF-8"),
        (line(title=""), "title: String should have at least 1 character"),
        (line(title="a\0"), "A text in it holds NUL"),
        (line(id="x"), "id: "),
        (line(nonsense=1), "nonsense: "),
        (line(created_at="2030-01-01T00:00:00"), "created_at: "),
        (line(status="completed"), "completed_at must be there"),
        (line(due_date="soon"), "due_date: must be an RFC 3339"),
        (line(version=2**31), "version: "),
        (line(tags=["a"] * 21), "tags: "),
        (line()[:-1] + ',"position":1e999}', "out of range"),
        (line()[:-1] + ',"title":"y"}', "repeated"),
        (line(category_id=HOME["id"]), "its category is neither before it"),
        (line(category="Home", category_id=HOME["id"]), "cannot be given together"),
        (line(category=" Home"), "must not begin or end with space"),
        (" " * 1_048_577, "is longer than"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(
    engine: Engine, url: str, execute: Execute, bad: str | bytes, detail: str
) -> None:
    user_id = f"user-{secrets.token_hex(8)}"
    good = line(id="01980000-0000-7000-8000-00000000000f").encode()
    text = good + b"\n\n" + (bad if isinstance(bad, bytes) else bad.encode())
    with pytest.raises(Refused) as raised:
        imported(engine, user_id, text)
    assert raised.value.reasons[0].startswith("Line 3: ")
    assert (
        detail.replace("A text in it holds NUL", "A text in it").split(" in ")[0] in raised.value.reasons[0]
    )
    assert execute(url, "SELECT FROM task WHERE user_id = %s", user_id) == []


def test_every_bad_line_up_to_twenty_is_named(engine: Engine) -> None:
    with pytest.raises(Refused) as raised:
        imported(engine, "nobody", "{\n" + line() + "\n[]\n")
    assert [reason.partition(":")[0] for reason in raised.value.reasons] == ["Line 1", "Line 3"]
    with pytest.raises(Refused) as raised:
        imported(engine, "nobody", "[]\n" * 1000)
    assert len(raised.value.reasons) == 21


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Line 1: is not a header"),
        ("id,titel\n", "Line 1: is not a header"),
        ("id,id\n", "Line 1: is not a header"),
        ("id,title\nx\n", "Line 2: has 1 cells, and the header 2."),
        ("id,title\nx,y\n", "Line 2: id: "),
        ('id,title\nx,"y', "Line 2: unexpected end of data."),
        ("id,title\n1,\0\n", "Line 2: holds NUL."),
        ("id,tags\n1,[\n", "Line 2: tags is not a JSON list."),
        (b"id\n\xff\n", "Line 2: is not UTF-8."),
        ("id\n" + "x" * 200_000, "Line 2: field larger than"),
        ("id\n" + "x" * 1_048_577, "Line 2: is longer than"),
        ("id,title\n\nx,y\n", "Line 3: id: "),
    ],
)
def test_what_is_no_csv_is_named_by_its_line(engine: Engine, text: str | bytes, reason: str) -> None:
    with pytest.raises(Refused) as raised:
        imported(engine, "nobody", text, "csv")
    assert raised.value.reasons[0].startswith(reason)


def test_a_user_that_does_not_exist_is_refused(empty_url: str, execute: Execute) -> None:
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    execute(empty_url, 'CREATE TABLE "user" (id text PRIMARY KEY)')
    execute(empty_url, """INSERT INTO "user" VALUES ('ada')""")
    for _ in range(2):
        with pytest.raises(Refused, match="There is no such user."):
            imported(engine, "eve", line())
        imported(engine, "ada", line())
        ownership.tie(engine)
    assert execute(empty_url, "SELECT user_id FROM task") == [("ada",)]
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "members", "reason"),
    [
        ('DELETE FROM "user"', {}, "There is no such user."),
        ("DELETE FROM category", {"category_id": HOME["id"]}, "Something else changed the same categories"),
    ],
)
def test_what_goes_while_a_file_is_imported_is_said(
    empty_url: str, execute: Execute, change: str, members: dict[str, str], reason: str
) -> None:
    engine = make_engine(empty_url, 5)
    schema.upgrade(engine)
    execute(empty_url, """CREATE TABLE "user" (id text PRIMARY KEY); INSERT INTO "user" VALUES ('ada')""")
    ownership.tie(engine)
    category = json.dumps(HOME)
    imported(engine, "ada", category)

    def records() -> Read:
        yield from read_json(io.BytesIO(category.encode()))
        execute(empty_url, change)
        yield from read_json(io.BytesIO(line(**members).encode()))

    with pytest.raises(Refused, match=reason):
        load(engine, "ada", records(), Progress(io.StringIO(), "records"))
    assert execute(empty_url, "SELECT FROM task") == []
    engine.dispose()


def test_batches_are_read_and_written_whole(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BATCH", 3)
    monkeypatch.setattr(exporting, "BATCH", 3)
    user_id = f"user-{secrets.token_hex(8)}"
    ids = [f"01980000-0000-7000-8000-00000000000{number}" for number in range(8)]
    text = "\n".join(line(id=id_) for id_ in [*ids, ids[0], ids[7]])
    terminal = Terminal()
    progress = Progress(terminal, "records")
    assert load(engine, user_id, read_json(io.BytesIO(text.encode())), progress) == Imported(0, 8, 2)
    progress.finish()
    assert terminal.getvalue() == "\r3 records\r6 records\r9 records\r10 records\n"
    assert [json.loads(one)["id"] for one in written(engine, user_id).splitlines()] == ids


def test_progress_is_for_terminals() -> None:
    stream = io.StringIO()
    progress = Progress(stream, "records")
    progress.advance(3)
    progress.finish()
    assert (stream.getvalue(), progress.count) == ("", 3)
