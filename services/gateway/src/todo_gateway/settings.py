"""The gateway's settings: the environment, checked.

Task: T-015 · Spec: plan.md#service-settings
"""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from todo_auth import TrustedIssuer, Verifier
from todo_service.settings import CommaSeparated, SecretList, Settings


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


Url = Annotated[str, AfterValidator(_url)]
UrlList = Annotated[CommaSeparated, AfterValidator(_addresses)]
OriginList = Annotated[CommaSeparated, AfterValidator(_origins)]


class GatewaySettings(Settings):
    """Everything the gateway is told from outside. Times in seconds, sizes in bytes."""

    env: Literal["development", "test", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(8000, ge=0, le=65535)

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

    max_target_bytes: int = Field(8 * 1024, ge=256)
    max_headers: int = Field(100, ge=10)
    max_header_bytes: int = Field(32 * 1024, ge=1024)
    max_body_bytes: int = Field(1024 * 1024, ge=1)
    body_timeout: float = Field(30, gt=0)

    @model_validator(mode="after")
    def _one_issuer(self) -> Self:
        if (self.better_auth_url is None) == (self.neon_auth_base_url is None):
            raise ValueError("set one of BETTER_AUTH_URL and NEON_AUTH_BASE_URL")
        if self.neon_auth_base_url and self.better_auth_secret:
            raise ValueError(
                "BETTER_AUTH_SECRET goes with BETTER_AUTH_URL: Neon Auth signs with its key set only"
            )
        return self

    def verifier(self) -> Verifier:
        """The verifier of the issuer that is configured."""
        audience = self.better_auth_audience or None
        if self.neon_auth_base_url is not None:
            trusted = TrustedIssuer.neon_auth(
                self.neon_auth_base_url,
                issuer=self.better_auth_issuer,
                audience=audience,
                jwks_url=self.better_auth_jwks_url,
            )
        else:
            assert self.better_auth_url is not None
            trusted = TrustedIssuer.better_auth(
                self.better_auth_url,
                issuer=self.better_auth_issuer,
                audience=audience,
                jwks_url=self.better_auth_jwks_url,
                secret=self.better_auth_secret.get_secret_value() if self.better_auth_secret else None,
            )
        return Verifier(trusted, max_lifetime_s=self.max_token_lifetime)
