"""What the gateway measures beside its requests: upstreams, refusals, keys, Redis.

Task: T-041 · Spec: plan.md#metrics
"""

from collections.abc import Callable, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from todo_auth import KeySet
from todo_service.metrics import BUCKETS_S, Totals

from todo_gateway.overload import Overload
from todo_gateway.shared import Sharing
from todo_gateway.upstream import Balance

Merged = Literal["livesum", "livemin", "livemax"]
"""What becomes of a gauge that several processes have."""

_BREAKER = {"closed": 0, "half-open": 1, "open": 2}


class GatewayMetrics:
    """The gateway's own metrics. Labels are addresses of the settings, names of quotas and of errors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._upstream = Histogram(
            "gateway_upstream_request_duration_seconds",
            "Seconds until an upstream's answer began, by its status class or the error instead of it.",
            ("upstream", "outcome"),
            registry=registry,
            buckets=BUCKETS_S,
        )
        self._refused = Counter(
            "gateway_rate_limited_total", "Requests refused by a rate limit.", ("policy",), registry=registry
        )

        def gauge(name: str, text: str, *labels: str, merged: Merged = "livesum") -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode=merged)

        self._active = gauge("gateway_upstream_active_requests", "Requests under way.", "upstream")
        self._breaker = gauge(
            "gateway_upstream_breaker",
            "An address's breaker: 0 closed, 1 half-open, 2 open; the worst of all processes.",
            "upstream",
            merged="livemax",
        )
        self._keys = gauge("gateway_keys", "Keys of the issuer that are in use.", merged="livemin")
        self._age = gauge("gateway_keys_age_seconds", "Seconds since they were fetched.", merged="livemax")
        self._keys_waiting = gauge("gateway_keys_waiting_requests", "Requests that wait for an unknown key.")
        self._waiting = gauge("gateway_waiting_requests", "Requests that wait for their turn.")
        self._redis_away = gauge(
            "gateway_redis_away",
            "1 while Redis does not answer and no request is refused by a limit.",
            merged="livemax",
        )
        self._totals = Totals(
            registry,
            gateway_upstream_retries_total="Requests that were sent to an upstream once more.",
            gateway_shed_total="Requests refused for overload.",
            gateway_keys_fetches_total="Fetches of the issuer's keys.",
            gateway_keys_failures_total="Fetches of the issuer's keys that failed.",
            gateway_redis_failures_total="Rounds with Redis that failed.",
        )
        # Looking labels up costs more than counting.
        self._observers: dict[tuple[str, str], Callable[[float], None]] = {}

    def refused(self, policy: str) -> None:
        """A request was refused by the quota of that name."""
        self._refused.labels(policy).inc()

    def tried(self, upstream: str, outcome: str, seconds: float) -> None:
        """An upstream's address was asked: `outcome` is `2xx` and so on, or what came instead."""
        observe = self._observers.get((upstream, outcome))
        if observe is None:
            observe = self._observers[upstream, outcome] = self._upstream.labels(upstream, outcome).observe
        observe(seconds)

    def show(
        self,
        key_sets: Sequence[KeySet],
        balances: Sequence[Balance],
        overload: Overload,
        sharing: Sharing | None,
    ) -> None:
        """Shows what these keep account of themselves, as it is now."""
        for address in (address for balance in balances for address in balance.state()):
            self._active.labels(address.origin).set(address.outstanding)
            self._breaker.labels(address.origin).set(_BREAKER[address.breaker])
        self._waiting.set(overload.waiting)
        totals = {
            "gateway_upstream_retries_total": sum(balance.retries for balance in balances),
            "gateway_shed_total": overload.shed,
        }
        for keys in key_sets:
            state = keys.state
            self._keys.set(state.keys if state.is_usable else 0)
            if state.age_s is not None:
                self._age.set(state.age_s)
            self._keys_waiting.set(state.waiting)
            totals["gateway_keys_fetches_total"] = state.fetches
            totals["gateway_keys_failures_total"] = state.failures
        if sharing is not None:
            self._redis_away.set(sharing.state.is_away)
            totals["gateway_redis_failures_total"] = sharing.state.failures
        self._totals.show(totals)
