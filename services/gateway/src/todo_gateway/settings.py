"""The gateway's settings: the environment, checked.

Task: T-015 · Spec: plan.md#service-settings
"""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from todo_auth import TrustedIssuer, Verifier
from todo_auth.sessions import SessionExchange
from todo_service.settings import CommaSeparated, SecretList, Settings

from todo_gateway import quotas, routes


def _url(value: str) -> str:
    parts = urlsplit(value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError("must be an http:// or https:// URL without user, query or fragment")
    return value.rstrip("/")


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must be one or more http:// or https:// addresses")
    return tuple(routes.address(value) for value in values)


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them: scheme, host and port, no path (RFC 6454 §6.2). One slash at the end is
    forgiven.
    """
    if "*" in values:
        raise ValueError("* cannot be used, because credentials are allowed: name each origin")
    origins = tuple(_url(value) for value in values)
    if any(urlsplit(origin).path or origin != origin.lower() for origin in origins):
        raise ValueError(
            "each must be an origin like https://app.example.com, in lower case and without a path"
        )
    for origin in origins:
        scheme, _, host = origin.partition("://")
        first, *rest = host.split(".")
        if "*" in origin and ("*" in scheme or "*" in ".".join(rest) or len(rest) < 2):
            raise ValueError(
                "* can only stand in the first part of a host with three, like https://*.example.com"
            )
    return origins


def _networks(values: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        networks = tuple(ip_network(value) for value in values)
    except ValueError:
        raise ValueError("must be addresses or networks like 10.0.0.0/8, with commas between them") from None
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("a network of all addresses would let every client say who it is")
    return networks


def _check_networks(values: tuple[str, ...]) -> tuple[str, ...]:
    _networks(values)
    return values


def _rate(value: str) -> str:
    quotas.parse(value, "")
    return value


def _redis(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("must be a redis:// or rediss:// URL")
    return value


Url = Annotated[str, AfterValidator(_url)]
UrlList = Annotated[CommaSeparated, AfterValidator(_addresses)]
OriginList = Annotated[CommaSeparated, AfterValidator(_origins)]
# Kept as they are written, so that each process counts with quotas of its own.
Rate = Annotated[str, AfterValidator(_rate)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]


class GatewaySettings(Settings):
    """Everything the gateway is told from outside. Times in seconds, sizes in bytes.

    `cors_origins`: a `*` in a host's first label stands for letters, digits and hyphens. `session_exchange`:
    take Better Auth's sessions too; `session_token_url` is where they are exchanged, beside the key set's
    address when unset. `gateway_routes`: a file of services (`todo_gateway.routes`) in place of `tasks_url`.
    `trusted_proxies`: the networks of proxies whose word on the client's address is taken. `rate_limit`: of a
    user; `off` turns all three off. `address_rate_limit`: of an address, before anybody looks at credentials.
    `auth_failure_rate_limit`: of refused credentials by address. `redis_url`: where several gateways share
    their counts. `gateway_workers`: processes; `WORKERS` is another name for it. `gateway_metrics_port`: for
    Prometheus; unset, nothing is measured.
    """

    env: Literal["development", "test", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(8000, ge=0, le=65535)
    gateway_workers: int = Field(1, ge=1, le=64, validation_alias=AliasChoices("gateway_workers", "workers"))

    better_auth_url: Url | None = None
    neon_auth_base_url: Url | None = None
    better_auth_jwks_url: Url | None = None
    better_auth_issuer: str | None = None
    better_auth_audience: CommaSeparated = ()
    better_auth_secret: SecretStr | None = Field(
        None, min_length=32, validation_alias=AliasChoices("better_auth_secret", "jwt_secret")
    )
    max_token_lifetime: float = Field(24 * 3600, gt=0)

    cors_origins: OriginList = ()

    session_exchange: bool = False
    session_token_url: Url | None = None
    session_cookie: str = Field("better-auth.session_token", pattern=r"^[A-Za-z0-9._-]+$")
    session_recheck: float = Field(60, gt=0)

    gateway_routes: Path | None = None
    tasks_url: UrlList = ("http://127.0.0.1:8001",)
    identity_secret: SecretList
    trust_domain: str = Field("todo", min_length=1)
    max_upstream_connections: int = Field(256, ge=1)
    upstream_timeout: float = Field(30, gt=0)
    upstream_try_timeout: float = Field(10, gt=0)
    max_concurrency: int = Field(256, ge=1)
    max_user_concurrency: int = Field(128, ge=1)
    max_waiting: int = Field(256, ge=0)
    max_wait: float = Field(1, gt=0)

    trusted_proxies: Annotated[CommaSeparated, AfterValidator(_check_networks)] = ()
    rate_limit: Rate = "600/minute"
    address_rate_limit: Rate = "3000/minute"
    auth_failure_rate_limit: Rate = "100/minute"
    redis_url: RedisUrl | None = None

    gateway_metrics_host: str = "127.0.0.1"
    gateway_metrics_port: int | None = Field(None, ge=1, le=65535)

    max_target_bytes: int = Field(8 * 1024, ge=256)
    max_headers: int = Field(100, ge=10)
    max_header_bytes: int = Field(32 * 1024, ge=1024)
    max_body_bytes: int = Field(1024 * 1024, ge=1)
    body_timeout: float = Field(30, gt=0)
    min_body_rate: int = Field(500, ge=1)
    head_timeout: float = Field(10, gt=0)
    max_connections: int = Field(10_000, ge=1)
    drain_delay: float = Field(0, ge=0)
    drain_timeout: float = Field(10, gt=0)

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_proxies`."""
        return _networks(self.trusted_proxies)

    @property
    def limits_are_off(self) -> bool:
        """`RATE_LIMIT=off` turns every rate limit off."""
        return self.rate_limit.strip().lower() == "off"

    @cached_property
    def routes(self) -> tuple[routes.Route, ...]:
        """The services behind, the longest prefix first."""
        return (
            (routes.tasks(self.tasks_url),)
            if self.gateway_routes is None
            else routes.read(self.gateway_routes)
        )

    @model_validator(mode="after")
    def _readable_routes(self) -> Self:
        try:
            assert self.routes
        except routes.RoutesError as error:
            raise ValueError(f"GATEWAY_ROUTES: {' '.join(error.problems)}") from None
        return self

    @model_validator(mode="after")
    def _one_issuer(self) -> Self:
        if (self.better_auth_url is None) == (self.neon_auth_base_url is None):
            raise ValueError("set one of BETTER_AUTH_URL and NEON_AUTH_BASE_URL")
        if self.neon_auth_base_url and self.better_auth_secret:
            raise ValueError(
                "BETTER_AUTH_SECRET goes with BETTER_AUTH_URL: Neon Auth signs with its key set only"
            )
        return self

    def _issuer(self) -> TrustedIssuer:
        audience = self.better_auth_audience or None
        if self.neon_auth_base_url is not None:
            return TrustedIssuer.neon_auth(
                self.neon_auth_base_url,
                issuer=self.better_auth_issuer,
                audience=audience,
                jwks_url=self.better_auth_jwks_url,
            )
        assert self.better_auth_url is not None
        return TrustedIssuer.better_auth(
            self.better_auth_url,
            issuer=self.better_auth_issuer,
            audience=audience,
            jwks_url=self.better_auth_jwks_url,
            secret=self.better_auth_secret.get_secret_value() if self.better_auth_secret else None,
        )

    def exchange(self, verifier: Verifier) -> SessionExchange | None:
        """The exchange of Better Auth's sessions, where it is on."""
        if not self.session_exchange:
            return None
        base = self.better_auth_url and f"{self.better_auth_url}/api/auth" or self.neon_auth_base_url
        keys_at = self.better_auth_jwks_url or ""
        if keys_at.endswith("/jwks"):
            base = keys_at.removesuffix("/jwks")
        return SessionExchange(
            verifier,
            self.session_token_url or f"{base}/token",
            origins=self.cors_origins,
            cookie=self.session_cookie,
            recheck_s=self.session_recheck,
        )

    def verifier(self) -> Verifier:
        """The verifier of the configured issuer's tokens."""
        return Verifier(self._issuer(), max_lifetime_s=self.max_token_lifetime)
