"""What the environment may say of limits and proxies."""

from typing import Any

import pytest
from pydantic import ValidationError
from todo_gateway.settings import GatewaySettings
from todo_service.settings import load


def settings(**values: Any) -> GatewaySettings:
    given: dict[str, Any] = {"better_auth_url": "http://issuer.test", "identity_secret": "x" * 32, **values}
    return GatewaySettings(_env_file=None, **given)  # type: ignore[call-arg]  # pydantic-settings takes it


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_proxies", "10.0.0.0/33"),
        ("trusted_proxies", "proxy.internal"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "0.0.0.0/0"),
        ("trusted_proxies", "::/0"),
        ("trusted_proxies", "*"),
        ("rate_limit", "600"),
        ("address_rate_limit", "0/minute"),
        ("auth_failure_rate_limit", "lots"),
        ("redis_url", "http://redis:6379"),
        ("redis_url", "redis://"),
        ("gateway_metrics_port", "0"),
        ("tasks_url", " , "),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**{name: value})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_a_secret_of_better_auth_is_refused_beside_neon_auth() -> None:
    neon = {"better_auth_url": None, "neon_auth_base_url": "http://neon.test/auth"}
    with pytest.raises(ValidationError, match="Neon Auth signs with its key set only"):
        settings(**neon, better_auth_secret="s" * 32)
    assert settings(**neon).neon_auth_base_url == "http://neon.test/auth"


def test_proxies_are_addresses_and_networks_of_both_families() -> None:
    networks = settings(trusted_proxies="10.0.0.0/8, 192.0.2.1,2001:db8::/32").proxies
    assert [str(network) for network in networks] == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]
    assert settings().proxies == ()


def test_one_word_turns_every_limit_off() -> None:
    assert settings(rate_limit=" Off").limits_are_off
    assert not settings(address_rate_limit="off").limits_are_off
    assert not settings().limits_are_off


def test_the_password_of_redis_is_not_shown() -> None:
    assert "hunter2" not in repr(settings(redis_url="rediss://:hunter2@redis:6379/0"))


def test_an_images_workers_are_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "production")
    monkeypatch.setenv("BETTER_AUTH_URL", "http://issuer.test")
    monkeypatch.setenv("IDENTITY_SECRET", "x" * 32)
    monkeypatch.setenv("WORKERS", "3")
    assert load(GatewaySettings).gateway_workers == 3
    monkeypatch.setenv("GATEWAY_WORKERS", "2")
    assert load(GatewaySettings).gateway_workers == 2
