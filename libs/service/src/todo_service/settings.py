"""The environment, read once at start: every problem in it is told at once, in sentences, without values.

Task: T-015 · Spec: plan.md#service-settings
"""

import os
import sys
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The base of a service's settings: names as in the environment, in any case; an empty value is an unset
    one.
    """

    model_config = SettingsConfigDict(
        case_sensitive=False, env_ignore_empty=True, extra="ignore", frozen=True
    )


class SettingsError(Exception):
    """The environment does not hold what the service needs. `problems`: one sentence each, without values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


S = TypeVar("S", bound=Settings)


def load(settings: type[S]) -> S:
    """Reads the environment, and outside of production the file `.env` beneath it. Raises SettingsError with
    every problem.
    """
    env_file = None if os.environ.get("ENV") == "production" else ".env"
    try:
        # pydantic-settings takes _env_file beside the fields.
        return settings(_env_file=env_file)  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsError(
            [_sentence(item["loc"], item["type"], item["msg"]) for item in error.errors()]
        ) from None


def refuse(error: SettingsError) -> NoReturn:
    """Prints every problem on standard error and ends the process with status 2."""
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    raise SystemExit(2)


def _sentence(location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(location[0]).upper() if location else ""
    if kind == "missing":
        return f"{name} is not set."
    text = message.removeprefix("Value error, ").rstrip(".")
    return f"{name}: {text}." if name else f"{text}."


def _split(value: Any) -> Any:
    """`a, b` as a list: lists are written with commas in the environment. What is no string is left for
    pydantic to judge.
    """
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _long_enough(secrets: tuple[str, ...]) -> tuple[str, ...]:
    if not secrets or any(len(secret.encode()) < 32 for secret in secrets):
        raise ValueError("each secret must have at least 32 bytes; make one with: openssl rand -base64 32")
    return secrets


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one variable, separated by commas."""

SecretList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_long_enough)]
"""One secret, or several with commas while rotating; each of at least 32 bytes."""
