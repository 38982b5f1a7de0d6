"""What a person is told when something is refused or fails, and that nothing typed is lost.

Task: T-029 · Spec: plan.md#browser-tests
"""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]
SignIn = Callable[[Page, str], None]
Add = Callable[[Page, str], None]


def row(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has_text=title)


def box(page: Page, title: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Completed: {title}")


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in$"))


def answer(status: int, **members: object) -> Callable[[Route], None]:
    """Answers in the gateway's place with problem details."""

    def fulfil(route: Route) -> None:
        if route.request.method == "OPTIONS":
            route.fallback()
            return
        route.fulfill(
            status=status,
            json={"status": status, **members},
            content_type="application/problem+json",
            headers={"Access-Control-Allow-Origin": "*"},
        )

    return fulfil


def test_what_the_service_refuses_is_said_beside_the_field_and_nothing_typed_is_lost(
    page: Page, sign_up: SignUp, add: Add
) -> None:
    sign_up(page)
    long = "x" * 201
    page.get_by_label("Title of the new task").fill(long)
    page.keyboard.press("Enter")
    expect(page.get_by_role("form", name="New task").get_by_role("alert")).to_contain_text("200")
    expect(page.get_by_label("Title of the new task")).to_have_value(long)

    add(page, "Short")
    row(page, "Short").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name="Edit task")
    dialog.get_by_label("Tags").fill(", ".join(str(number) for number in range(21)))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("20")
    dialog.get_by_label("Tags").fill("one")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(row(page, "Short")).to_contain_text("#one")


def test_wrong_credentials_are_said_in_words(page: Page, sign_up: SignUp) -> None:
    email = sign_up(page)
    sign_out(page)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").first).to_have_text("Invalid email or password.")
    expect(page.get_by_label("E-mail")).to_have_value(email)

    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("alert").first).to_have_text("Password too short.")


def test_a_gateway_that_does_not_answer_is_said_in_words_and_tried_again(
    page: Page, sign_up: SignUp, add: Add
) -> None:
    sign_up(page)
    add(page, "Survive the night")
    everything = re.compile("/api/tasks")

    page.route(everything, lambda route: route.abort("connectionrefused"))
    page.reload()
    failure = page.get_by_role("alert").filter(has_text="Your tasks could not be loaded.")
    expect(failure).to_contain_text("The server cannot be reached.")
    page.unroute(everything)
    failure.get_by_role("button", name="Try again").click()
    expect(row(page, "Survive the night")).to_be_visible()

    page.route(everything, answer(503, detail="The tasks service is down."))
    box(page, "Survive the night").click()
    notice = page.get_by_role("status").filter(has_text="The service does not answer right now.")
    expect(notice).to_be_visible()
    expect(box(page, "Survive the night")).not_to_be_checked()
    page.unroute(everything)
    notice.get_by_role("button", name="Try again").click()
    expect(box(page, "Survive the night")).to_be_checked()


def test_a_refused_token_is_replaced_once_without_a_word(page: Page, sign_up: SignUp, add: Add) -> None:
    sign_up(page)
    refused: list[str] = []

    def refuse_first(route: Route) -> None:
        if route.request.method == "POST" and not refused:
            refused.append(route.request.headers["authorization"])
            answer(401, detail="The token is not valid.")(route)
        else:
            route.fallback()

    page.route(re.compile("/api/tasks"), refuse_first)
    add(page, "Written at the second attempt")
    assert len(refused) == 1


def test_an_ended_session_leads_back_to_sign_in_and_says_so(page: Page, sign_up: SignUp, add: Add) -> None:
    sign_up(page)
    page.context.clear_cookies()
    page.route(re.compile("/api/tasks"), answer(401, detail="The token is not valid."))
    page.get_by_label("Title of the new task").fill("Too late")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sign-in"))
    expect(page.get_by_text("You were signed out.")).to_be_visible()


def test_without_a_network_the_page_says_so_and_catches_up_afterwards(
    page: Page, sign_up: SignUp, add: Add, new_context: Callable[..., BrowserContext], sign_in: SignIn
) -> None:
    email = sign_up(page)
    add(page, "Written before")
    elsewhere = new_context().new_page()
    sign_in(elsewhere, email)

    page.context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    box(page, "Written before").click()
    failure = page.get_by_role("status").filter(has_text="The server cannot be reached.")
    expect(failure).to_be_visible()
    expect(box(page, "Written before")).not_to_be_checked()
    add(elsewhere, "Written meanwhile")

    page.context.set_offline(False)
    expect(page.get_by_text("You are offline.")).to_have_count(0)
    expect(row(page, "Written meanwhile")).to_be_visible()
    failure.get_by_role("button", name="Try again").click()
    expect(box(page, "Written before")).to_be_checked()


def test_saving_changes_only_what_was_changed_here(
    page: Page, sign_up: SignUp, new_context: Callable[..., BrowserContext], sign_in: SignIn
) -> None:
    """A list that is loaded again under an open dialog must not make its old words look like changes."""
    email = sign_up(page, {"title": "Old title", "description": "Old words"})
    row(page, "Old title").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name="Edit task")
    dialog.get_by_label("Description").fill("My words")

    elsewhere = new_context().new_page()
    sign_in(elsewhere, email)
    row(elsewhere, "Old title").get_by_role("button").first.click()
    other = elsewhere.get_by_role("dialog", name="Edit task")
    other.get_by_label("Title").fill("Their title")
    other.get_by_role("button", name="Save").click()
    expect(other).to_be_hidden()

    with page.expect_response(re.compile("/api/tasks$")):
        page.evaluate("window.dispatchEvent(new Event('online'))")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("changed elsewhere")
    expect(dialog.get_by_label("Title")).to_have_value("Old title")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(row(page, "Their title")).to_contain_text("My words")


def test_a_change_made_elsewhere_in_the_meantime_is_not_overwritten_unseen(
    page: Page, sign_up: SignUp, add: Add
) -> None:
    sign_up(page)
    add(page, "Shared")
    row(page, "Shared").get_by_role("button").first.click()
    dialog = page.get_by_role("dialog", name="Edit task")
    elsewhere = page.context.new_page()
    elsewhere.goto("/")
    box(elsewhere, "Shared").click()
    expect(elsewhere.get_by_role("status").filter(has_text="Completed")).to_be_visible()

    based_on: list[str | None] = []

    def refuse_first(route: Route) -> None:
        if route.request.method != "PATCH":
            route.fallback()
            return
        based_on.append(route.request.headers.get("if-match"))
        if len(based_on) == 1:
            answer(412, detail="The task has another version by now.")(route)
        else:
            route.fallback()

    page.route(re.compile("/api/tasks"), refuse_first)
    dialog.get_by_label("Title").fill("Shared, and mine")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("changed elsewhere")
    expect(dialog.get_by_label("Title")).to_have_value("Shared, and mine")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(box(page, "Shared, and mine")).to_be_checked()
    assert based_on == ['"1"', '"2"']
