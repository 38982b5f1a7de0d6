"""The keys at hand: those of the last key set that was read, by what tokens call them.

Task: T-007 · Spec: plan.md#key-set
"""

import logging
from collections.abc import Iterable, Mapping

from todo_auth.jwk import Jwk, KeyRefused, SigningKey

_log = logging.getLogger(__name__)

_Name = tuple[str | None, str]


class KeyRing:
    """Keys by `kid` and algorithm. `members`: the key set as it was read, each JWK under its canonical
    text.
    """

    def __init__(self) -> None:
        self.members: Mapping[str, Jwk] = {}
        self._keys: dict[str, SigningKey] = {}
        self._fitting: dict[_Name, SigningKey] = {}
        self._refused: set[str] = set()

    def __len__(self) -> int:
        """How many keys serve."""
        return len(self._keys)

    def get(self, key_id: str | None, algorithm: str) -> SigningKey | None:
        """The key for a token; without `kid` only where exactly one fits. May be called in any thread."""
        return self._fitting.get((key_id, algorithm))

    def replace(self, members: Mapping[str, Jwk]) -> None:
        """Keeps the keys that stay, so that what they verified stays remembered, and withdraws those that
        have gone. A key that cannot be used is skipped with one log line.
        """
        keys: dict[str, SigningKey] = {}
        refused: set[str] = set()
        for text, jwk in members.items():
            try:
                keys[text] = self._keys.get(text) or SigningKey.from_jwk(jwk)
            except KeyRefused as error:
                refused.add(text)
                if text not in self._refused:
                    _log.warning("key %.64r of the set is skipped: %s", jwk.get("kid"), error)
        for text, key in self._keys.items():
            key.withdrawn = text not in keys
        self.members, self._keys, self._refused = members, keys, refused
        self._fitting = _by_name(keys.values())


def _by_name(keys: Iterable[SigningKey]) -> dict[_Name, SigningKey]:
    """Every key under its `kid` and algorithm, and under the algorithm alone. Where two different keys
    answer to one name, neither is guessed.
    """
    fitting: dict[_Name, SigningKey] = {}
    ambiguous: set[_Name] = set()
    for key in keys:
        for name in {(key.key_id, key.algorithm), (None, key.algorithm)}:
            if not fitting.setdefault(name, key).is_same_key(key):
                ambiguous.add(name)
    return {name: key for name, key in fitting.items() if name not in ambiguous}
