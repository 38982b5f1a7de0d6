"""The containers in a real browser: a person's way, and pages of other origins.

Task: T-057 · Spec: plan.md#end-to-end
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from todo_stack import chromium

pytestmark = pytest.mark.timeout(900)  # The first test waits for the images.

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FETCH = """async ([method, url, token, body]) => {
    const headers = { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) };
    try {
        const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
        return [answer.status, answer.headers.get("ETag"), await answer.json()];
    } catch (error) {
        return error.name;
    }
}"""


@pytest.fixture(scope="module")
def browser(stack: Any) -> Iterator[Browser]:
    """An installed Chromium; without one the tests of this file are skipped."""
    path = chromium.installed()
    if path is None:
        pytest.skip(chromium.MISSING)
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, stack: Any) -> Iterator[Page]:
    """A page in a browser without cookies."""
    context = browser.new_context(base_url=stack.web_url, locale="en-GB")
    yield context.new_page()
    context.close()


class _Blank(BaseHTTPRequestHandler):
    """An application's page, as far as the gateway is concerned."""

    def do_GET(self) -> None:
        """Answer every path with an empty page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another application</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def applications(stack: Any) -> Iterator[None]:
    """Pages of other origins: one that the gateway lets in, and one that it does not."""
    with ExitStack() as servers:
        for origin in (stack.friend, stack.stranger):
            port = urlsplit(origin).port or 0
            server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", port), _Blank))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.callback(server.shutdown)
        yield


def test_a_person_signs_up_and_makes_and_deletes_a_task_in_chromium(page: Page) -> None:
    page.goto("/sign-up")
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill(f"{uuid.uuid4().hex}@example.com")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Make my account").click()
    page.get_by_label("Title of the new task").fill("Book the train")
    page.keyboard.press("Enter")
    task = page.get_by_role("listitem").filter(has_text="Book the train")
    expect(task).to_be_visible()
    page.reload()
    expect(task).to_be_visible()
    task.hover()
    task.get_by_role("button", name="Delete").click()
    expect(task).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Title of the new task")).to_be_visible()
    expect(task).to_have_count(0)


def test_a_page_of_an_allowed_origin_calls_the_gateway_and_reads_what_it_says(
    stack: Any, page: Page, applications: None, sign_up: Callable[[], Any]
) -> None:
    tasks, token = f"{stack.gateway_url}/api/tasks", sign_up().token
    page.goto(stack.friend)
    status, etag, task = page.evaluate(FETCH, ["POST", tasks, token, {"title": "From elsewhere"}])
    assert (status, task["title"]) == (201, "From elsewhere")
    assert etag == f'"{task["version"]}"', "a header that CORS exposes"
    status, _, listed = page.evaluate(FETCH, ["GET", tasks, token, None])
    assert (status, [one["id"] for one in listed]) == (200, [task["id"]])
    status, _, problem = page.evaluate(FETCH, ["GET", tasks, "no-token", None])
    assert (status, problem["status"]) == (401, 401)


def test_a_page_of_another_origin_gets_nothing(
    stack: Any, page: Page, applications: None, sign_up: Callable[[], Any]
) -> None:
    tasks, token = f"{stack.gateway_url}/api/tasks", sign_up().token
    page.goto(stack.stranger)
    for method, body in (("GET", None), ("POST", {"title": "From a stranger"})):
        assert page.evaluate(FETCH, [method, tasks, token, body]) == "TypeError"
    page.goto(stack.friend)
    assert page.evaluate(FETCH, ["GET", tasks, token, None])[2] == [], "nor was anything written"
