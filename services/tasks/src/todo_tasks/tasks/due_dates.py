"""When a task is due: the text that a client gave, and the instant it stands for.

Task: T-020 · Spec: plan.md#tasks-api
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_RFC_3339 = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<offset>[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?",
    re.ASCII,
)
EARLIEST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class DueDate:
    """`text`: as given. `starts_at` and `ends_at`: the first and the last microsecond of a date (in UTC), and
    one and the same for a date-time.
    """

    text: str
    starts_at: datetime
    ends_at: datetime


def parse(text: str) -> DueDate:
    """Reads an RFC 3339 date or date-time of the years 1900 to 9999.

    More lenient than the RFC, as HTML's inputs are: without seconds, and without an offset, which is UTC
    then. Raises ValueError.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("must be an RFC 3339 date or date-time, such as 2030-01-31 or 2030-01-31T15:00:00Z")
    try:
        day = date.fromisoformat(match["day"])
        if day.year < EARLIEST_YEAR:
            raise ValueError
        if match["hour"] is None:
            starts_at = datetime.combine(day, time(), UTC)
            return DueDate(text, starts_at, starts_at + (timedelta(days=1) - datetime.resolution))
        moment = time(
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"] or 0),
            int((match["fraction"] or "").ljust(6, "0")[:6]),
        )
        instant = datetime.combine(day, moment, UTC) - _offset(match["offset"])
    except (ValueError, OverflowError):
        raise ValueError(f"must be a day that exists, in the years {EARLIEST_YEAR} to 9999") from None
    return DueDate(text, instant, instant)


def _offset(text: str | None) -> timedelta:
    if text is None or text in "Zz":
        return timedelta()
    distance = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return -distance if text[0] == "-" else distance
