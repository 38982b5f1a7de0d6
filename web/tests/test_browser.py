"""What a person does with the page, in a real Chromium on the whole stack.

Task: T-029 · Spec: plan.md#browser-tests
"""

import datetime
import re
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

PASSWORD = "correct horse battery"
LIGHT, DARK = "rgb(245, 246, 242)", "rgb(18, 22, 20)"

SignUp = Callable[..., str]
SignIn = Callable[[Page, str], None]
Add = Callable[[Page, str], None]
NewContext = Callable[..., BrowserContext]


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=title)


def box(page: Page, title: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Completed: {title}")


def day(offset: int) -> str:
    return (datetime.date.today() + datetime.timedelta(days=offset)).isoformat()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in$"))


def test_a_task_lives_from_sign_up_to_sign_out(
    page: Page, complaints: list[str], sign_in: SignIn, add: Add
) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    page.goto("/")
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("heading", name="Nothing to do.")).to_be_visible()

    add(page, "Book the train")
    page.reload()
    expect(page.get_by_role("heading", name="One to do.")).to_be_visible()

    box(page, "Book the train").click()
    expect(page.get_by_role("region", name="Completed")).to_contain_text("Book the train")
    page.reload()
    expect(box(page, "Book the train")).to_be_checked()

    row(page, "Book the train").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name="Edit task")
    dialog.get_by_label("Title").fill("Book the night train")
    dialog.get_by_label("Description").fill("Window seat")
    dialog.get_by_text("Urgent").click()
    dialog.get_by_label("Category").fill("Travel")
    dialog.get_by_label("Tags").fill("family, rail")
    dialog.get_by_label("Due").fill(day(-2))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    box(page, "Book the night train").click()
    page.reload()
    edited = page.get_by_role("region", name="Overdue").get_by_role("listitem")
    for fact in (
        "Book the night train",
        "2 days overdue",
        "urgent",
        "Travel",
        "#family",
        "#rail",
        "Window seat",
    ):
        expect(edited).to_contain_text(fact)
    expect(page.get_by_role("heading", name="One to do, one overdue.")).to_be_visible()

    edited.hover()
    edited.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("A clean sheet.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("A clean sheet.")).to_be_visible()

    sign_out(page)
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in$"))
    sign_in(page, email)
    assert complaints == []


def test_everything_is_done_with_the_keyboard_alone(page: Page, sign_up: SignUp) -> None:
    sign_up(page)
    keys = page.keyboard
    for title in ("First", "Second", "Third"):
        keys.press("n")
        expect(page.get_by_label("Title of the new task")).to_be_focused()
        keys.type(title)
        keys.press("Enter")
        expect(row(page, title)).to_be_visible()
        keys.press("Tab")  # Out of the field, so that `n` is a shortcut again.

    keys.press("/")
    keys.type("sec")
    expect(page.get_by_role("listitem")).to_have_count(1)
    keys.press("Escape")
    expect(page.get_by_role("listitem")).to_have_count(3)

    row(page, "Third").get_by_role("button").first.focus()
    keys.press("ArrowDown")
    expect(row(page, "Second").get_by_role("button").first).to_be_focused()
    keys.press("Space")
    expect(box(page, "Second")).to_be_checked()
    expect(row(page, "First").get_by_role("button").first).to_be_focused()

    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Edit task")
    expect(dialog.get_by_label("Title")).to_be_focused()
    keys.press("ControlOrMeta+a")
    keys.type("First of all")
    keys.press("Enter")
    expect(dialog).to_be_hidden()
    edited = row(page, "First of all").get_by_role("button").first
    expect(edited).to_be_focused()

    keys.press("Enter")
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    keys.press("Delete")
    expect(row(page, "First of all")).to_have_count(0)
    expect(page.locator(":focus")).to_have_text("Second")

    keys.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_a_focused_element_is_outlined(page: Page, sign_up: SignUp, add: Add) -> None:
    sign_up(page)
    add(page, "Water the plants")
    row(page, "Water the plants").get_by_role("button").first.focus()
    page.keyboard.press("Shift+Tab")
    expect(box(page, "Water the plants")).to_be_focused()
    expect(box(page, "Water the plants")).to_have_css("outline-style", "solid")


def test_a_deletion_is_undone_and_the_task_is_the_same_as_before(page: Page, sign_up: SignUp) -> None:
    sign_up(
        page, {"title": "Keep me", "tags": ["dear"], "due_date": "2030-01-31T09:30:00Z", "completed": True}
    )
    restored: list[str] = []
    page.on("request", lambda request: restored.append(request.url) if "/restore" in request.url else None)
    row(page, "Keep me").hover()
    row(page, "Keep me").get_by_role("button", name="Delete").click()
    expect(row(page, "Keep me")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("“Keep me” is back.")).to_be_visible()
    for _ in range(2):
        expect(box(page, "Keep me")).to_be_checked()
        expect(row(page, "Keep me")).to_contain_text("#dear")
        page.reload()
    assert len(restored) == 1


def test_the_last_deletion_is_undone_with_a_key(page: Page, sign_up: SignUp, add: Add) -> None:
    sign_up(page)
    add(page, "Keep me")
    row(page, "Keep me").get_by_role("button").first.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_text("Deleted “Keep me”.")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("“Keep me” is back.")).to_be_visible()


def test_every_page_of_a_long_list_is_read(page: Page, sign_up: SignUp) -> None:
    sign_up(page, *({"title": f"Task {number}"} for number in range(5)))
    # The service's own pages, only smaller.
    page.route(re.compile("/api/tasks$"), lambda route: route.continue_(url=f"{route.request.url}?limit=2"))
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(5)


def test_dark_mode_follows_the_system_and_the_choice_of_the_person(
    new_context: NewContext, sign_up: SignUp, add: Add
) -> None:
    page = new_context(color_scheme="dark").new_page()
    sign_up(page)
    add(page, "Look at the stars")
    expect_paper(page, DARK)
    page.get_by_text("Light", exact=True).click()
    expect_paper(page, LIGHT)
    page.reload()
    expect_paper(page, LIGHT)
    page.get_by_text("As the system").click()
    expect_paper(page, DARK)


def expect_paper(page: Page, color: str) -> None:
    """The colour of the page's background, as the style sheet has it under `--color-paper`."""
    expect(page.locator("body")).to_have_css("background-color", color)


def test_the_page_fits_a_phone(new_context: NewContext, sign_up: SignUp, add: Add) -> None:
    page = new_context(width=360, height=740).new_page()
    sign_up(page)
    add(page, "A title without a space: " + "w" * 120)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    row(page, "A title").get_by_role("button").first.click()
    expect(page.get_by_role("button", name="Save")).to_be_in_viewport()
