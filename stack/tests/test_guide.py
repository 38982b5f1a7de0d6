"""The text at the end of a start."""

from dataclasses import replace

from todo_stack.guide import curl_lines, guide
from todo_stack.issuer import Issuer
from todo_stack.up import Stack, User

STACK = Stack(
    "http://localhost:8000",
    "http://localhost:3000",
    Issuer("better-auth", "http://localhost:3000", "http://localhost:3000/api/auth", "Better Auth in web/"),
    User("demo@example.com", "it's"),
)


def test_it_names_the_page_the_gateway_the_demo_user_and_three_commands() -> None:
    text = guide(STACK)
    for part in (
        "http://localhost:3000",
        "http://localhost:8000/docs",
        "demo@example.com",
        *curl_lines(STACK),
    ):
        assert part in text
    assert len(curl_lines(STACK)) == 3


def test_with_an_issuer_elsewhere_it_asks_for_a_token() -> None:
    elsewhere = replace(STACK, web_url=None, demo_user=None)
    token, *others = curl_lines(elsewhere)
    assert token.startswith("read ") and all("$TOKEN" in line for line in others)
    assert "demo user" not in guide(elsewhere)
