"""What is shown while the service has not answered yet, and after it refused.

Task: T-058 · Spec: plan.md#web-page
"""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]


PATIENCE_S = 30.0
"""When a test gives up on something that has to happen. No test judges how long it takes."""
CHANGES = re.compile("/api/tasks")


def hold(page: Page) -> list[Route]:
    """Keeps the changes that `page` sends from now on; the list grows with each. Reading goes on."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        if route.request.method in ("GET", "OPTIONS"):
            route.fallback()
        else:
            held.append(route)

    page.route(CHANGES, keep)
    return held


def wait_for(held: list[Route], count: int, page: Page) -> None:
    """Waits until so many changes are held: what the page shows at once is there before its request."""
    deadline = time.monotonic() + PATIENCE_S
    while len(held) < count:
        assert time.monotonic() < deadline, f"{len(held)} of {count} changes were sent"
        page.wait_for_timeout(10)


def refuse(route: Route) -> None:
    """Answers in the gateway's place that the service is down."""
    route.fulfill(
        status=503,
        json={"status": 503, "detail": "The tasks service is down."},
        content_type="application/problem+json",
        headers={"Access-Control-Allow-Origin": "*"},
    )


def box(page: Page, title: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Completed: {title}")


def test_titles_are_written_faster_than_they_are_stored(page: Page, sign_up: SignUp) -> None:
    sign_up(page)
    held = hold(page)
    page.get_by_label("Title of the new task").focus()
    for title in ("First", "Second", "Third"):
        page.keyboard.type(title)
        page.keyboard.press("Enter")
        # A task that is not stored yet is shown, but cannot be changed: it is no part of what can be reached.
        expect(page.locator("li[inert]").filter(has_text=title)).to_be_visible()
    wait_for(held, 3, page)
    for route in held:
        route.continue_()
    expect(page.locator("li[inert]")).to_have_count(0)
    page.unroute(CHANGES)
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(3)


def test_what_is_refused_is_seen_at_once_and_taken_back(page: Page, sign_up: SignUp) -> None:
    sign_up(page, {"title": "One"}, {"title": "Two"}, {"title": "Three"})
    page.get_by_label("Sort").select_option("position")
    held = hold(page)
    page.get_by_role("checkbox", name="Completed: One").click()
    page.get_by_role("button", name="Delete: Two").dispatch_event("click")
    page.get_by_label("Title of the new task").fill("Four")
    page.keyboard.press("Enter")
    titles = page.locator("li [data-stop]")
    expect(titles).to_have_text(["Three", "Four", "One"])
    expect(box(page, "One")).to_be_checked()
    expect(page.get_by_label("Title of the new task")).to_be_empty()
    wait_for(held, 3, page)

    # One is refused while the others are still under way.
    deletion = next(route for route in held if route.request.method == "DELETE")
    held.remove(deletion)
    refuse(deletion)
    expect(titles).to_have_text(["Two", "Three", "Four", "One"])
    while held:
        refuse(held.pop())
    expect(titles).to_have_text(["One", "Two", "Three"])
    expect(box(page, "One")).not_to_be_checked()
    expect(page.get_by_label("Title of the new task")).to_have_value("Four")

    page.get_by_role("button", name="Move down: One").dispatch_event("click")
    expect(titles).to_have_text(["Two", "One", "Three"])
    wait_for(held, 1, page)
    refuse(held.pop())
    expect(titles).to_have_text(["One", "Two", "Three"])


def test_changes_of_one_task_are_sent_one_after_the_other(page: Page, sign_up: SignUp) -> None:
    sign_up(page, {"title": "Tick, tock"}, {"title": "Other"})
    held = hold(page)
    box(page, "Tick, tock").click()
    expect(box(page, "Tick, tock")).to_be_checked()
    box(page, "Tick, tock").click()
    expect(box(page, "Tick, tock")).not_to_be_checked()
    # Of another task: it does not wait, and was asked for last.
    box(page, "Other").click()
    wait_for(held, 2, page)
    assert held[0].request.url != held[1].request.url
    assert [route.request.post_data_json for route in held] == [{"completed": True}] * 2

    held[0].continue_()
    wait_for(held, 3, page)
    expect(box(page, "Tick, tock")).not_to_be_checked()
    assert held[2].request.url == held[0].request.url
    assert held[2].request.post_data_json == {"completed": False}
    held[2].continue_()
    expect(page.get_by_role("status").filter(has_text="Opened “Tick, tock” again.")).to_be_visible()
    expect(box(page, "Tick, tock")).not_to_be_checked()


def test_a_title_that_was_refused_is_named_when_the_next_one_is_being_written(
    page: Page, sign_up: SignUp
) -> None:
    sign_up(page)
    held = hold(page)
    line = page.get_by_label("Title of the new task")
    line.fill("The first")
    page.keyboard.press("Enter")
    line.fill("The second")
    wait_for(held, 1, page)
    refuse(held[0])
    alert = page.get_by_role("form", name="New task").get_by_role("alert")
    expect(alert).to_contain_text("“The first” was not added.")
    expect(line).to_have_value("The second")


def test_a_task_whose_answer_was_lost_is_not_made_twice(page: Page, sign_up: SignUp) -> None:
    sign_up(page)
    keys: list[str | None] = []

    def lose_first(route: Route) -> None:
        if route.request.method != "POST":
            route.fallback()
            return
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route(re.compile("/api/tasks$"), lose_first)
    page.get_by_label("Title of the new task").fill("Once")
    page.keyboard.press("Enter")
    expect(page.get_by_role("form", name="New task").get_by_role("alert")).to_contain_text(
        "cannot be reached"
    )
    page.get_by_label("Title of the new task").press("Enter")
    expect(page.get_by_role("status").filter(has_text="Added “Once”.")).to_be_visible()
    assert len(keys) == 2 and keys[0] and keys[0] == keys[1]
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(1)
