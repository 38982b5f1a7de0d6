"""What the browser tests share: the whole stack, an installed Chromium, and people who use the page.

Task: T-029 · Spec: plan.md#browser-tests
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from todo_stack.background import running

PASSWORD = "correct horse battery"
RESULTS = Path(__file__).parent.parent / "test-results"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Stack:
    """Where the running stack is reached."""

    web_url: str
    gateway_url: str


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium; without one the tests that need it are skipped."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, (shutil.which(name) for name in names if name)), None)
    if path is None:
        pytest.skip("no Chromium is installed (apt install chromium, or set CHROMIUM)")
    return path


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node; without it the tests of this folder are skipped."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node is not on PATH")
    return path


@pytest.fixture(scope="session")
def stack(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole, started as `./dev up` starts it, on free ports and with data of its own."""
    # More people sign up here at once than behind any one address; limits have a test of their own.
    with running(tmp_path_factory.mktemp("stack"), {"RATE_LIMIT": "off"}) as started:
        assert started.web_url is not None
        yield Stack(web_url=started.web_url, gateway_url=started.gateway_url)


@pytest.fixture
def addresses(stack: Stack) -> set[str]:
    """The origins of the page and of the gateway."""
    return {stack.web_url, stack.gateway_url}


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests; each test opens contexts of its own in it."""
    expect.set_options(timeout=10_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def new_context(browser: Browser, stack: Stack) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser with no cookies, as another person's; takes Playwright's options of a context."""
    contexts: list[BrowserContext] = []

    def make(color_scheme: str = "light", width: int = 1120, height: int = 900) -> BrowserContext:
        context = browser.new_context(
            base_url=stack.web_url,
            locale="en-GB",
            color_scheme="dark" if color_scheme == "dark" else "light",
            viewport={"width": width, "height": height},
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    """A page in a fresh browser."""
    return new_context().new_page()


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser complains of in `page`: errors of scripts, and of the content security policy."""
    found: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Keeps a picture of a page under `test-results/`, named after the test."""

    def keep(page: Page, name: str) -> None:
        RESULTS.mkdir(exist_ok=True)
        page.screenshot(
            path=RESULTS / f"{request.node.name}-{name}.png", full_page=True, animations="disabled"
        )

    return keep


@pytest.fixture
def sign_up() -> Callable[..., str]:
    """Makes an account in a page, ends at its empty list, and returns its e-mail address."""

    def make(page: Page, name: str = "Ada Lovelace") -> str:
        email = f"{uuid.uuid4().hex}@example.com"
        page.goto("/sign-up")
        page.get_by_label("Name").fill(name)
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make my account").click()
        expect(page.get_by_text("A clean sheet.")).to_be_visible()
        return email

    return make


@pytest.fixture
def sign_in() -> Callable[[Page, str], None]:
    """Signs an account of `sign_up` in, from wherever the page is, and ends at its list."""

    def enter(page: Page, email: str) -> None:
        page.goto("/sign-in")
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()

    return enter


@pytest.fixture
def add() -> Callable[[Page, str], None]:
    """Writes a task with a title alone, and waits until it is stored."""

    def write(page: Page, title: str) -> None:
        page.get_by_label("Title of the new task").fill(title)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text=f"Added “{title}”.")).to_be_visible()

    return write
