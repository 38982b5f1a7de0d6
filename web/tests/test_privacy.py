"""What one person never sees of another, and where the page never sends anything.

Task: T-029 · Spec: plan.md#browser-tests
"""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]
SignIn = Callable[[Page, str], None]
Add = Callable[[Page, str], None]
NewContext = Callable[..., BrowserContext]


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in$"))


def test_a_second_user_sees_nothing_of_the_first(
    page: Page, sign_up: SignUp, sign_in: SignIn, add: Add, new_context: NewContext
) -> None:
    email = sign_up(page)
    add(page, "A secret of Ada's")
    other = new_context().new_page()
    sign_up(other, name="Grace Hopper")
    expect(other.get_by_text("A secret of Ada's")).to_have_count(0)

    sign_out(page)
    sign_up(page, name="Grace Hopper")
    expect(page.get_by_text("A secret of Ada's")).to_have_count(0)
    sign_out(page)
    sign_in(page, email)
    expect(page.get_by_text("A secret of Ada's", exact=True)).to_be_visible()


def test_a_user_who_signs_in_from_another_tab_is_never_shown_in_the_first_ones_page(
    page: Page, sign_up: SignUp, add: Add
) -> None:
    sign_up(page)
    add(page, "A secret of Ada's")
    page.context.clear_cookies()
    second = page.context.new_page()
    sign_up(second, name="Grace Hopper")
    page.evaluate(
        "Date.now = () => new Date().getTime() + 3_600_000"
    )  # The first user's token has to be renewed.
    page.get_by_label("Title of the new task").fill("Whose is this?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Grace Hopper")).to_be_visible()
    expect(page.get_by_text("A clean sheet.")).to_be_visible()


def test_the_page_talks_to_its_own_server_and_the_gateway_only(
    page: Page, sign_up: SignUp, add: Add, addresses: set[str]
) -> None:
    origins: set[str] = set()
    page.on("request", lambda request: origins.add("{0.scheme}://{0.netloc}".format(urlsplit(request.url))))
    sign_up(page)
    add(page, "Private")
    assert origins == addresses


def test_the_token_is_kept_in_memory_only(page: Page, sign_up: SignUp, add: Add) -> None:
    sign_up(page)
    add(page, "Private")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in kept
    assert all(cookie["httpOnly"] for cookie in page.context.cookies() if "session" in cookie["name"])


def test_injected_markup_runs_no_script(page: Page, sign_up: SignUp) -> None:
    sign_up(page)
    page.evaluate("""() => {
            window.violations = [];
            addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "document.title = 'taken over'";
            document.body.append(script);
            const image = `<img src="/nothing" onerror="document.title = 'taken over'">`;
            document.body.insertAdjacentHTML("beforeend", image);
        }""")
    page.wait_for_function("violations.length === 2")
    assert page.evaluate("violations") == ["script-src-elem", "script-src-attr"]
    assert page.title() == "Todo"
