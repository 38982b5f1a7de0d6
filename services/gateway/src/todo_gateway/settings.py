"""The gateway's settings: the environment, checked.

Task: T-015 · Spec: plan.md#service-settings
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from todo_auth import TrustedIssuer, Verifier
from todo_service.settings import CommaSeparated, SecretList, Settings

from todo_gateway import quotas


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


def _urls(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_url(value) for value in values)


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values or any(urlsplit(url).path for url in _urls(values)):
        raise ValueError("must be one or more http:// or https:// addresses without a path")
    return _urls(values)


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them: scheme, host and port, no path (RFC 6454 §6.2). One slash at the end is
    forgiven.
    """
    if "*" in values:
        raise ValueError("* cannot be used, because credentials are allowed: name each origin")
    origins = _urls(values)
    if any(urlsplit(origin).path or origin != origin.lower() for origin in origins):
        raise ValueError(
            "each must be an origin like https://app.example.com, in lower case and without a path"
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

    `trusted_proxies`: the networks of proxies whose word on the client's address is taken. `rate_limit`: of a
    user; `off` turns all three off. `address_rate_limit`: of an address, before anybody looks at credentials.
    `auth_failure_rate_limit`: of refused credentials by address. `redis_url`: where several gateways share
    their counts. `gateway_metrics_port`: for Prometheus; unset, nothing is measured.
    """

    env: Literal["development", "test", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(8000, ge=0, le=65535)
    gateway_workers: int = Field(1, ge=1, le=64)

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

    tasks_url: UrlList = ("http://127.0.0.1:8001",)
    identity_secret: SecretList
    trust_domain: str = Field("todo", min_length=1)
    max_upstream_connections: int = Field(64, ge=1)
    upstream_timeout: float = Field(30, gt=0)
    upstream_try_timeout: float = Field(10, gt=0)
    max_concurrency: int = Field(256, ge=1)
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

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_proxies`."""
        return _networks(self.trusted_proxies)

    @property
    def limits_are_off(self) -> bool:
        """`RATE_LIMIT=off` turns every rate limit off."""
        return self.rate_limit.strip().lower() == "off"

    @model_validator(mode="after")
    def _one_issuer(self) -> Self:
        if (self.better_auth_url is None) == (self.neon_auth_base_url is None):
            raise ValueError("set one of BETTER_AUTH_URL and NEON_AUTH_BASE_URL")
        if self.neon_auth_base_url and self.better_auth_secret:
            raise ValueError(
                "BETTER_AUTH_SECRET goes with BETTER_AUTH_URL: Neon Auth signs with its key set only"
            )
        return self

    def issuer(self) -> TrustedIssuer:
        """The issuer that is configured, with a key set of its own."""
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

    def verifier(self, issuer: TrustedIssuer) -> Verifier:
        """The verifier of that issuer's tokens."""
        return Verifier(issuer, max_lifetime_s=self.max_token_lifetime)
