"""What a header may be made of, so that nobody reads it as more than one (RFC 9110 §5).

Task: T-015 · Spec: plan.md#service-settings
"""

_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # RFC 9110 §5.6.2
_CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])  # a tab is allowed inside a value: RFC 9110 §5.5


def is_token(text: bytes) -> bool:
    """Whether it has characters of a token alone: a name, or several in one piece. Nothing at all counts."""
    return not text.translate(None, _TOKEN)


def is_value(text: bytes) -> bool:
    """Whether it has no control character: a value, or several in one piece."""
    return len(text.translate(None, _CONTROLS)) == len(text)
