"""The order that a person makes: with a mouse, a finger, keys and buttons.

Task: T-058 · Spec: plan.md#web-page
"""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]
NewContext = Callable[..., BrowserContext]


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=title)


def fill(page: Page, sign_up: SignUp, **members: object) -> None:
    """Four tasks in the person's own order."""
    sign_up(page, *({"title": title, **members} for title in ("One", "Two", "Three", "Four")))
    page.get_by_label("Sort").select_option("position")
    expect_order(page, "One", "Two", "Three", "Four")


def expect_order(page: Page, *titles: str) -> None:
    expect(page.locator("li [data-stop]")).to_have_text(list(titles))


def middle(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def moved(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Moved")


def test_a_task_is_dragged_to_its_place(page: Page, sign_up: SignUp) -> None:
    fill(page, sign_up)
    page.mouse.move(*middle(row(page, "Four").locator(".grip")))
    page.mouse.down()
    x, y = middle(row(page, "Two"))
    page.mouse.move(x, y - 5, steps=5)
    expect(row(page, "Two")).to_have_attribute("data-drop", "above")
    page.mouse.up()
    expect_order(page, "One", "Four", "Two", "Three")
    expect(moved(page)).to_contain_text("Moved “Four” to place 2 of 4.")
    page.reload()
    expect_order(page, "One", "Four", "Two", "Three")


def test_a_drag_that_is_broken_off_moves_nothing(page: Page, sign_up: SignUp) -> None:
    fill(page, sign_up)
    page.mouse.move(*middle(row(page, "One").locator(".grip")))
    page.mouse.down()
    x, y = middle(row(page, "Four"))
    page.mouse.move(x, y + 5, steps=5)
    expect(row(page, "Four")).to_have_attribute("data-drop", "below")
    page.keyboard.press("Escape")
    expect(page.locator("[data-drop]")).to_have_count(0)
    page.mouse.up()
    expect_order(page, "One", "Two", "Three", "Four")


def test_a_task_is_dragged_with_a_finger(new_context: NewContext, sign_up: SignUp) -> None:
    page = new_context(width=360, height=740, is_touched=True).new_page()
    fill(page, sign_up)
    row(page, "One").scroll_into_view_if_needed()
    x, y = middle(row(page, "One").locator(".grip"))
    _, target = middle(row(page, "Three"))
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    send("touchStart", (x, y))
    for step in range(1, 6):
        send("touchMove", (x, y + (target + 5 - y) * step / 5))
    expect(row(page, "Four")).to_have_attribute("data-drop", "above")
    send("touchEnd")
    expect_order(page, "Two", "Three", "One", "Four")
    expect(moved(page)).to_be_visible()


def test_a_task_is_moved_with_the_keyboard_and_keeps_the_focus(page: Page, sign_up: SignUp) -> None:
    fill(page, sign_up)
    title = row(page, "Two").get_by_role("button").first
    title.focus()
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("Alt+ArrowDown")
    expect_order(page, "One", "Three", "Four", "Two")
    expect(moved(page)).to_contain_text("Moved “Two” to place 4 of 4.")
    expect(title).to_be_focused()
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("Alt+ArrowUp")
    expect_order(page, "One", "Three", "Two", "Four")
    expect(title).to_be_focused()
    expect(moved(page)).to_contain_text("to place 3 of 4.")
    page.reload()
    expect_order(page, "One", "Three", "Two", "Four")


def test_a_task_is_moved_with_buttons(page: Page, sign_up: SignUp) -> None:
    fill(page, sign_up)
    row(page, "One").hover()
    first = page.get_by_role("button", name="Move up: One")
    expect(first).to_be_disabled()
    page.get_by_role("button", name="Move down: One").click()
    expect_order(page, "Two", "One", "Three", "Four")
    expect(first).to_be_enabled()
    first.click()
    expect_order(page, "One", "Two", "Three", "Four")
    expect(moved(page)).to_contain_text("to place 1 of 4.")


def test_tasks_of_one_position_make_room(page: Page, sign_up: SignUp) -> None:
    fill(page, sign_up, position=7)
    row(page, "Four").get_by_role("button").first.focus()
    page.keyboard.press("Alt+ArrowUp")
    expect_order(page, "One", "Two", "Four", "Three")
    page.keyboard.press("Alt+ArrowUp")
    expect_order(page, "One", "Four", "Two", "Three")
    expect(moved(page)).to_contain_text("to place 2 of 4.")
    page.reload()
    expect_order(page, "One", "Four", "Two", "Three")


def test_many_moves_to_one_place_are_all_kept(page: Page, sign_up: SignUp) -> None:
    """Between two successive milliseconds lie a dozen numbers; then what follows makes room."""
    now = 1_800_000_000_000
    sign_up(page, *({"title": title, "position": now + n} for n, title in enumerate(("One", "Two", "Three"))))
    page.goto("/?sort=position")
    positions: list[float] = []

    def note(sent: Request) -> None:
        if sent.method == "PATCH":
            positions.append(json.loads(sent.post_data or "")["position"])

    page.on("request", note)
    for turn in range(16):
        last, between = (("Three", "Two"), ("Two", "Three"))[turn % 2]
        page.get_by_role("button", name=f"Move up: {last}").dispatch_event("click")
        expect_order(page, "One", last, between)
        expect(moved(page)).to_contain_text(f"Moved “{last}” to place 2 of 3.")
    assert len(positions) > 16, "no task had to make room"
    page.reload()
    expect_order(page, "One", "Two", "Three")
