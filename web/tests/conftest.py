"""What the browser tests share: the whole stack, an installed Chromium, and people who use the page.

Task: T-029 · Spec: plan.md#browser-tests
"""

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from todo_stack import chromium as browsers
from todo_stack.background import running

PASSWORD = "correct horse battery"
TESTS = Path(__file__).parent
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--pictures`: take the README's pictures anew."""
    parser.addoption("--pictures", action="store_true", help="take the pictures in docs/images anew")


@dataclass(frozen=True)
class Stack:
    """Where the running stack is reached."""

    web_url: str
    gateway_url: str


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium; without one the tests that need it are skipped."""
    path = browsers.installed()
    if path is None:
        pytest.skip(browsers.MISSING)
    return path


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node; without it the tests of this folder are skipped."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node is not on PATH")
    return path


@pytest.fixture(scope="session")
def packages(node: str) -> Path:
    """The folder with what only the tests need of npm; installed when its lock has changed."""
    installed, lock = TESTS / "node_modules" / ".installed", (TESTS / "package-lock.json").read_text()
    if not installed.exists() or installed.read_text() != lock:
        npm = shutil.which("npm")
        assert npm, "Node is there without npm"
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=TESTS, check=True)
        installed.write_text(lock)
    return installed.parent


@pytest.fixture(scope="session")
def stack(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole, started as `./dev up` starts it, on free ports and with data of its own."""
    # More people sign up here at once than behind any one address; limits have a test of their own.
    with running(tmp_path_factory.mktemp("stack"), {"RATE_LIMIT": "off"}) as started:
        assert started.web_url is not None
        yield Stack(web_url=started.web_url, gateway_url=started.gateway_url)


@pytest.fixture
def web_url(stack: Stack) -> str:
    """The address of the page."""
    return stack.web_url


@pytest.fixture
def gateway_url(stack: Stack) -> str:
    """The address of the gateway."""
    return stack.gateway_url


@pytest.fixture
def addresses(stack: Stack) -> set[str]:
    """The origins of the page and of the gateway."""
    return {stack.web_url, stack.gateway_url}


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests; each test opens contexts of its own in it."""
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def new_context(browser: Browser, stack: Stack) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser with no cookies, as another person's; `is_touched`: a phone's."""
    contexts: list[BrowserContext] = []

    def make(
        color_scheme: str = "light", width: int = 1120, height: int = 900, is_touched: bool = False
    ) -> BrowserContext:
        context = browser.new_context(
            base_url=stack.web_url,
            locale="en-GB",
            color_scheme="dark" if color_scheme == "dark" else "light",
            reduced_motion="reduce",
            viewport={"width": width, "height": height},
            has_touch=is_touched,
            is_mobile=is_touched,
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
def sign_up(stack: Stack) -> Callable[..., str]:
    """Makes an account with `tasks`, as the API takes them; ends at its list, returns its e-mail address."""

    def make(page: Page, *tasks: dict[str, object], name: str = "Ada Lovelace") -> str:
        email = f"{uuid.uuid4().hex}@example.com"
        ask = page.context.request
        made = ask.post(
            "/api/auth/sign-up/email",
            data={"name": name, "email": email, "password": PASSWORD},
            headers={"Origin": stack.web_url},
        )
        assert made.ok, made.text()
        if tasks:
            credential = {"Authorization": f"Bearer {ask.get('/api/auth/token').json()['token']}"}
        for task in tasks:
            stored = ask.post(f"{stack.gateway_url}/api/tasks", data=task, headers=credential)
            assert stored.ok, stored.text()
        page.goto("/")
        if tasks:
            expect(page.get_by_role("listitem")).to_have_count(len(tasks))
        else:
            expect(page.get_by_text("A clean sheet.")).to_be_visible()
        return email

    return make


@pytest.fixture
def sign_in() -> Callable[[Page, str], None]:
    """Signs an account of `sign_up` in with the form, from wherever the page is, and ends at its list."""

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
