"""What the environment tells this service.

Task: T-015 · Spec: plan.md#service-settings
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, InstanceOf, SecretStr
from pydantic_settings import NoDecode

from todo_service.settings import SecretList, Settings
from todo_tasks import database_url
from todo_tasks.profile import DEFAULT, Profile


def _postgresql(url: SecretStr) -> SecretStr:
    database_url.words(url.get_secret_value())
    return url


def _on_or_off(value: object) -> object:
    names = {"on": True, "off": False}
    return names.get(value.strip().lower(), value) if isinstance(value, str) else value


def _profile(value: Any) -> Any:
    # Only here: the names that a profile may not use are the web framework's models.
    from todo_tasks.profile_file import load

    return load(value) if isinstance(value, str) else value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_postgresql)]
Switch = Annotated[bool, BeforeValidator(_on_or_off)]


class DatabaseSettings(Settings):
    """What every command needs.

    `database_url`: as libpq and Neon write it; `postgres://` and `postgresql+psycopg2://` are read, too.
    `database_direct_url`: past a connection pooler, for migrations; by default the same.
    `database_statement_cache`: `off` behind a pooler that does not keep prepared statements (PgBouncer
    before 1.21, or without `max_prepared_statements`).
    `database_connect_timeout_s`: how long a request waits for a connection, one to a compute that wakes up
    included. `database_timeout_s`: how long a statement may take. `database_idle_s`: connections are closed
    when they were not used for as long, before the server or what stands before it drops them;
    `database_lifetime_s`: and replaced when they are as old.
    `slow_query_ms`: statements that take as long are logged.
    """

    database_url: DatabaseUrl
    database_direct_url: DatabaseUrl | None = None
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 8
    database_statement_cache: Switch = True
    database_connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5
    database_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30
    database_idle_s: Annotated[float, Field(ge=1, le=86_400)] = 240
    database_lifetime_s: Annotated[float, Field(ge=1, le=604_800)] = 3_600
    slow_query_ms: Annotated[int, Field(ge=1, le=600_000)] = 500
    env: Literal["development", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class KeepingSettings(DatabaseSettings):
    """What deleting what is old needs on top.

    `trash_days` and `idempotency_hours`: for how long deleted tasks, and the answers to requests with an
    `Idempotency-Key`, are kept.
    """

    trash_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    idempotency_hours: Annotated[int, Field(ge=24, le=87_600)] = 24


class TasksSettings(KeepingSettings):
    """What the service itself needs on top.

    `tasks_host`: the address to listen on; another than loopback only where the network keeps strangers out.
    `tasks_workers`: processes; `WORKERS` is another name for it.
    `tasks_metrics_port`: for Prometheus; unset, nothing is measured. `require_if_match`: a task is changed
    only by requests that say which version they are meant for. `wire_profile`: `default`, `camel`, or the
    path of a TOML file.
    """

    identity_secret: SecretList
    trust_domain: Annotated[str, Field(min_length=1)] = "todo"
    tasks_host: str = "127.0.0.1"
    tasks_port: Annotated[int, Field(ge=0, le=65535)] = 8001
    tasks_workers: Annotated[
        int, Field(ge=1, le=64, validation_alias=AliasChoices("tasks_workers", "workers"))
    ] = 1
    tasks_metrics_host: str = "127.0.0.1"
    tasks_metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    wire_profile: Annotated[InstanceOf[Profile], NoDecode, BeforeValidator(_profile)] = DEFAULT
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    drain_delay: Annotated[float, Field(ge=0)] = 0
    drain_timeout: Annotated[float, Field(gt=0)] = 10
    require_if_match: Switch = False
