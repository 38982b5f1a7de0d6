"""A user's way to a token at Better Auth: sign up or in, then trade the session for a JWT.

Task: T-005 · Spec: plan.md#demo
"""

from todo_stack.calls import Answer, call
from todo_stack.errors import StackError


class Accounts:
    """The endpoints of an issuer at `endpoints`, such as `http://localhost:3000/api/auth`."""

    def __init__(self, endpoints: str) -> None:
        self._endpoints = endpoints

    async def sign_up(self, email: str, password: str, name: str) -> str | None:
        """Make a user and return a session token; None where the address has a user already."""
        user = {"email": email, "password": password, "name": name}
        answer = await call("POST", f"{self._endpoints}/sign-up/email", user)
        if answer.status == 422 and "USER_ALREADY_EXISTS" in answer.text:
            return None
        return _token(answer, "sign-up")

    async def sign_in(self, email: str, password: str) -> str | None:
        """Return a session token; None where the address or the password is not known."""
        credentials = {"email": email, "password": password}
        answer = await call("POST", f"{self._endpoints}/sign-in/email", credentials)
        return None if answer.status == 401 else _token(answer, "sign-in")

    async def token(self, session: str) -> str:
        """Return a JWT for the gateway."""
        return _token(await call("GET", f"{self._endpoints}/token", token=session), "the request for a token")


def _token(answer: Answer, step: str) -> str:
    """The member `token` of a JSON answer. The error has the issuer's own words, never the request's."""
    if answer.status != 200:
        raise StackError(f"The issuer answers {step} with {answer.status}: {answer.text[:300]}")
    document = answer.json()
    token = document.get("token") if isinstance(document, dict) else None
    if not isinstance(token, str):
        raise StackError(f"The issuer's answer to {step} has no token.")
    return token
