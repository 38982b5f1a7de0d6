"""Every state of the page, looked at by axe: no violation of WCAG 2.2 AA nor of its best practices.

Task: T-058 · Spec: plan.md#web-page
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]
NewContext = Callable[..., BrowserContext]
Look = Callable[[Page], list[str]]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TASKS = (
    {"title": "Pay the rent", "priority": "urgent", "due_date": "2020-01-31", "category": "Home"},
    {
        "title": "Water the plants",
        "priority": "high",
        "tags": ["green", "daily"],
        "description": "All of them",
    },
    {"title": "Plan the summer", "priority": "low", "due_date": "2099-07-01"},
    {"title": "Answer a letter", "completed": True, "tags": ["post"]},
)


@pytest.fixture
def violations(packages: Path) -> Look:
    """What axe finds wrong in a page, a line each."""
    source = (packages / "axe-core" / "axe.min.js").read_text()

    def look(page: Page) -> list[str]:
        # By the debugger: the page's own policy lets no foreign script in.
        page.evaluate(f"() => {{ {source} }}")
        found = page.evaluate("(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES)
        assert len(found["passes"]) > 10, "axe has looked at nothing"
        return [
            f"{rule['id']}: {node['html']}: {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    return look


def test_pages_without_a_user_are_accessible(page: Page, violations: Look) -> None:
    for address in ("/sign-in?ended", "/sign-up", "/nowhere"):
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert violations(page) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1120), ("dark", 360)])
def test_the_list_and_its_dialogs_are_accessible(
    new_context: NewContext, sign_up: SignUp, violations: Look, scheme: str, width: int
) -> None:
    page = new_context(color_scheme=scheme, width=width).new_page()
    sign_up(page, *TASKS)
    row = page.get_by_role("listitem").filter(has_text="Water the plants")
    row.hover()
    assert violations(page) == []

    page.get_by_label("Sort").select_option("position")
    row.get_by_role("button", name="#green").click()
    row.get_by_role("button").first.focus()
    assert violations(page) == []

    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Edit task")
    dialog.get_by_label("Tags").fill(", ".join(map(str, range(21))))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Details").click()
    page.get_by_label("Title of the new task").fill("x" * 201)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="200")).to_be_visible()
    assert violations(page) == []

    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No task matches.")).to_be_visible()
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert violations(page) == []


def test_an_empty_list_is_accessible(page: Page, sign_up: SignUp, violations: Look) -> None:
    sign_up(page)
    assert violations(page) == []


def test_what_is_said_when_something_fails_is_accessible(
    page: Page, sign_up: SignUp, violations: Look
) -> None:
    sign_up(page, *TASKS)
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    page.get_by_role("checkbox", name="Completed: Pay the rent").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    assert violations(page) == []
    page.context.set_offline(False)

    page.route("**/api/tasks", lambda route: route.abort())
    page.reload()
    expect(page.get_by_text("Your tasks could not be loaded.")).to_be_visible()
    assert violations(page) == []
