"""What the page for an existing application quotes of the doctor is what the doctor says.

Each heading below "Common mistakes" is a mistake that is made here, at an issuer on a port.

Task: T-060 · Spec: plan.md#documentation
"""

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from todo_auth.__main__ import main
from todo_auth.development import serving
from todo_auth.testing import HTML, Answer, Issuer, redirect
from todo_stack.ports import free_port

PAGE = Path(__file__).parents[1] / "existing-app.md"
SECRET = "the secret of Better Auth, long enough"

Arguments = Sequence[str]
"""What the doctor is told."""


@dataclass(frozen=True)
class Scene:
    """An issuer on a port; the time; and `everywhere`, which starts a server with one answer to all paths."""

    issuer: Issuer
    now: int
    everywhere: Callable[[Answer], str]


Make = Callable[[Scene], Arguments]
MISTAKES: dict[str, Make] = {}


def mistake(heading: str) -> Callable[[Make], Make]:
    """Registers what makes the mistake of that heading, and gives the doctor's arguments."""

    def register(make: Make) -> Make:
        MISTAKES[heading] = make
        return make

    return register


@mistake("Better Auth has no `jwt()` plugin")
def no_plugin(scene: Scene) -> Arguments:
    scene.issuer.answer = (404, b"")
    return [scene.issuer.base_url]


@mistake("The address has Better Auth's path in it")
def path_in_the_address(scene: Scene) -> Arguments:
    return [f"{scene.issuer.base_url}/api/auth"]


@mistake("`localhost` means another machine")
def localhost_elsewhere(_: Scene) -> Arguments:
    return [f"http://localhost:{free_port()}"]


@mistake("The address redirects")
def redirecting(scene: Scene) -> Arguments:
    return [scene.everywhere(redirect("https://www.example.com/api/auth/jwks", 308))]


@mistake("A page of the application answers instead")
def page_instead(scene: Scene) -> Arguments:
    return [scene.everywhere(HTML)]


@mistake("Nobody has signed in yet")
def no_keys_yet(scene: Scene) -> Arguments:
    scene.issuer.answer = (200, json.dumps({"keys": []}).encode())
    return [scene.issuer.base_url]


@mistake("The public address is another one")
def another_public_address(scene: Scene) -> Arguments:
    public = "https://app.example.com"
    return [scene.issuer.base_url, "--token", scene.issuer.token("ann", iss=public, aud=public)]


@mistake("The tokens are for another audience")
def another_audience(scene: Scene) -> Arguments:
    return [scene.issuer.base_url, "--token", scene.issuer.token("ann", aud="my-api")]


@mistake("The session token is sent in place of a JWT")
def session_token(scene: Scene) -> Arguments:
    return [scene.issuer.base_url, "--token", scene.issuer.open_session("ann")]


@mistake("The request is sent before there is a token")
def undefined(scene: Scene) -> Arguments:
    return [scene.issuer.base_url, "--token", "undefined"]


@mistake("The token was kept for too long")
def expired(scene: Scene) -> Arguments:
    return [
        scene.issuer.base_url,
        "--token",
        scene.issuer.token("ann", iat=scene.now - 960, exp=scene.now - 60),
    ]


@mistake("The tokens live too long")
def long_lived(scene: Scene) -> Arguments:
    return [scene.issuer.base_url, "--token", scene.issuer.token("ann", exp=scene.now + 30 * 86_400)]


@mistake("The cookie's content is sent")
def cookie_cache(scene: Scene) -> Arguments:
    token = scene.issuer.token("ann", header={"typ": "better-auth.session-cache+jwt"})
    return [scene.issuer.base_url, "--token", token]


@mistake("The tokens are signed with the shared secret")
def shared_secret(scene: Scene) -> Arguments:
    return [scene.issuer.base_url, "--token", scene.issuer.token("ann", secret=SECRET)]


@mistake("The secret is another one")
def another_secret(scene: Scene) -> Arguments:
    token = scene.issuer.token("ann", secret=SECRET[::-1])
    return [scene.issuer.base_url, "--secret-env", "BETTER_AUTH_SECRET", "--token", token]


@mistake("The token is another environment's")
def another_environment(scene: Scene) -> Arguments:
    return [scene.issuer.base_url, "--token", Issuer(scene.issuer.base_url).token("ann")]


@mistake("The clocks disagree")
def clocks(scene: Scene) -> Arguments:
    return [
        scene.issuer.base_url,
        "--token",
        scene.issuer.token("ann", iat=scene.now + 120, exp=scene.now + 1_020),
    ]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server with one answer to everything; gives its URL."""
    status, body, *headers = answer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Where mistakes can be made."""
    issuer = Issuer()
    with ExitStack() as servers:
        servers.enter_context(serving(issuer))
        yield Scene(issuer, int(time.time()), lambda answer: servers.enter_context(answering(answer)))


def comparable(text: str) -> list[str]:
    """Lines without what differs from run to run: the loopback address, names of keys, seconds."""
    text = re.sub(r"http://(127\.0\.0\.1|localhost):\d+", "http://localhost:3000", text)
    text = re.sub(r"'[0-9a-f]{32}'", "'KEY'", text)
    text = re.sub(r"\b\d+ s\b", "N s", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def diagnosis(arguments: Arguments) -> str:
    """What the doctor prints."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(printed):
        main(["doctor", *arguments])
    printed.seek(0)
    return printed.read()


def quotes() -> dict[str, str]:
    """Heading by heading, what the page says that the doctor says."""
    _, _, section = PAGE.read_text().partition("\n## Common mistakes\n")
    section = section.partition("\n## ")[0]
    parts = re.split(r"^### (.+)$", section, flags=re.MULTILINE)[1:]
    return {
        heading: "".join(re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_mistake_of_the_page_is_made_here_and_no_other() -> None:
    assert list(quotes()) == list(MISTAKES)


@pytest.mark.parametrize("heading", MISTAKES)
def test_the_doctors_answer_to_a_mistake_is_the_one_that_the_page_quotes(
    heading: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETTER_AUTH_SECRET", SECRET)
    said = diagnosis(MISTAKES[heading](scene))
    quoted = comparable(quotes()[heading])
    assert quoted, "nothing is quoted"
    # The page leaves out what is well.
    assert [line for line in comparable(said) if not line.startswith("✓")] == quoted
