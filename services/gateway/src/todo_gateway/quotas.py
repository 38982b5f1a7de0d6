"""Counting against a quota: sliding windows by subject, in memory that is bounded.

The notation is that of the `limits` package, and Redis is asked through it (`todo_gateway.shared`). Its own
memory is not used: every hit there has all keys walked through once more, so that a flood of addresses slows
every request, and no key is dropped before its time.

Task: T-040 · Spec: plan.md#limits
"""

import math
from collections import OrderedDict
from collections.abc import Iterable

from limits import RateLimitItem, parse_many

MAX_SUBJECTS = 100_000
"""Subjects that one quota remembers; 20 MB or so."""


class Slot:
    """One subject's count: `current` in the window numbered `index`, `previous` in the one before.

    `unsent`: how many of `current` the other gateways have not heard of.
    """

    __slots__ = ("index", "previous", "current", "unsent", "is_new")

    def __init__(self, index: int) -> None:
        self.index = index
        self.previous = 0
        self.current = 0
        self.unsent = 0
        self.is_new = True


class Quota:
    """So many requests in any `window_s` seconds, by subject (a user, an address).

    Sliding window counter: the count of the window before weighs as much as is left of it, as
    `limits.strategies.SlidingWindowCounterRateLimiter` has it. What is refused is not counted. At most
    `max_subjects` are remembered; past that the one whose window began first is forgotten.

    `name`: of the policy, in headers, metrics and keys.
    """

    def __init__(self, item: RateLimitItem, name: str, *, max_subjects: int = MAX_SUBJECTS) -> None:
        self.name = name
        self.label = b'"%b"' % name.encode("ascii")
        self.amount = item.amount
        self.window_s = item.get_expiry()
        self.changed: set[str] | None = None  # those with something unsent, where there is somebody to tell
        self.is_open = False  # what all gateways count together cannot be known: nobody is refused
        self._item = item
        self._max_subjects = max_subjects
        self._slots: OrderedDict[str, Slot] = OrderedDict()  # those whose window began first come first

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def policy(self) -> str:
        """An item of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3)."""
        return f'"{self.name}";q={self.amount};w={self.window_s}'

    def slot(self, subject: str, now: float) -> Slot:
        """The subject's counts as of `now` (seconds of the clock that all gateways share)."""
        index = int(now // self.window_s)
        slot = self._slots.get(subject)
        if slot is None:
            slot = self._slots[subject] = Slot(index)
            self._forget(index)
        elif slot.index != index:
            slot.previous = slot.current if slot.index == index - 1 else 0
            slot.index, slot.current, slot.unsent = index, 0, 0
            self._slots.move_to_end(subject)
        return slot

    def known(self, subject: str) -> Slot | None:
        """The subject's counts as they were left, None when it is not remembered."""
        return self._slots.get(subject)

    def remaining(self, slot: Slot, now: float) -> int:
        """How many requests are left."""
        unused = self.amount - slot.current
        if slot.previous:
            unused -= math.floor(slot.previous * (1 - now % self.window_s / self.window_s))
        return max(0, unused)

    def count(self, subject: str, slot: Slot) -> None:
        """One request more."""
        slot.current += 1
        if self.changed is not None:
            slot.unsent += 1
            self.changed.add(subject)

    def wait_s(self, slot: Slot, now: float) -> float:
        """Seconds until one more request fits, if nobody counts another."""
        if self.remaining(slot, now):
            return 0.0
        gone = now % self.window_s
        if slot.current < self.amount:
            # The weight that `previous` has to fall under for one more to fit.
            share = (self.amount - slot.current) / slot.previous
            return max(0.0, (1 - share) * self.window_s - gone)
        return self.window_s - gone + max(0.0, (1 - self.amount / slot.current) * self.window_s)

    def key(self, subject: str, index: int) -> str:
        """What a window of a subject is called in Redis. The subject, which may hold a slash, is last."""
        return self._item.key_for(self.name, index, subject)

    def _forget(self, index: int) -> None:
        """Drops the oldest where there are too many, and two that count for nothing any more, so that they
        are gone as fast as new ones come.
        """
        slots = self._slots
        if len(slots) > self._max_subjects:
            slots.popitem(last=False)
        for _ in range(2):
            oldest = next(iter(slots))
            if slots[oldest].index >= index - 1:
                return
            del slots[oldest]


def parse(value: str, name: str) -> tuple[Quota, ...]:
    """Quotas as `600/minute`, several with commas between them. None for `off`.

    Several are told apart by their windows: `user-second`, `user-minute`. Raises ValueError.
    """
    if value.strip().lower() == "off":
        return ()
    try:
        items = parse_many(value)
    except ValueError:
        items = []
    if not items or any(item.amount < 1 or item.multiples < 1 for item in items):
        raise ValueError("must be like 600/minute, several with commas between them, or off")
    return tuple(Quota(item, name if len(items) == 1 else f"{name}-{_window(item)}") for item in items)


def policies(quotas: Iterable[Quota]) -> bytes:
    """The value of `RateLimit-Policy`."""
    return ", ".join(quota.policy for quota in quotas).encode("ascii")


def _window(item: RateLimitItem) -> str:
    name = item.GRANULARITY.name
    return name if item.multiples == 1 else f"{item.multiples}-{name}"
