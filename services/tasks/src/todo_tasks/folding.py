"""Text as it is compared without regard to case, in any script.

Made by the service and kept in columns of its own, because a database's own `lower` depends on its locale.

Task: T-016 · Spec: plan.md#tables
"""

import unicodedata


def fold(text: str) -> str:
    """The form in which two texts are the same: Unicode's canonical caseless matching (D145), composed."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def key(text: str | None) -> str | None:
    """What is kept beside a text to find it by: its folded form, null where that is the text itself."""
    if text is None:
        return None
    folded = fold(text)
    return None if folded == text else folded
