"""The environment, read once at start: every problem in it is told at once, in sentences, without values.

A setting may also be a file that carries its name, in the folder where Docker and Kubernetes put secrets.

Task: T-015 · Spec: plan.md#service-settings
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import pydantic_settings
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

SECRETS_DIR = Path("/run/secrets")
"""Where secrets are files, unless `SECRETS_DIR` names another folder."""


def load(settings: type[S]) -> S:
    """Reads the environment; beneath it, outside of production, the file `.env`; beneath that the files of
    `SECRETS_DIR`: each is called like a setting, `identity_secret` say, and holds its value. Raises
    SettingsError with every problem.
    """
    env_file = None if os.environ.get("ENV") == "production" else ".env"
    try:
        # pydantic-settings takes these two beside the fields.
        return settings(_env_file=env_file, _secrets_dir=_secrets_dir())  # type: ignore[call-arg]
    except pydantic_settings.SettingsError as error:
        # pydantic-settings names the field, and what the file's reading failed of is the cause.
        raise SettingsError([_unreadable(error.__cause__)]) from None
    except ValidationError as error:
        raise SettingsError(
            [_sentence(item["loc"], item["type"], item["msg"]) for item in error.errors()]
        ) from None


def refuse(error: SettingsError) -> NoReturn:
    """Prints every problem on standard error and ends the process with status 2."""
    for problem in error.problems:
        print(f"error: {problem}", file=sys.stderr)
    raise SystemExit(2)


def _secrets_dir() -> Path | None:
    named = os.environ.get("SECRETS_DIR")
    folder = Path(named) if named else SECRETS_DIR
    if folder.is_dir():
        return folder
    if named:
        raise SettingsError(["SECRETS_DIR: there is no such folder."])
    return None


def _unreadable(cause: BaseException | None) -> str:
    if isinstance(cause, OSError):
        name = Path(os.fsdecode(cause.filename or "")).name.upper()
        return f"{name}: its file in SECRETS_DIR cannot be read ({os.strerror(cause.errno or 0).lower()})."
    return "SECRETS_DIR: a file there is not text in UTF-8."


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
