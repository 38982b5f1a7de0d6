from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_tasks.tasks.due_dates import parse


@pytest.mark.parametrize(
    ("text", "starts_at", "ends_at"),
    [
        ("2030-01-31", "2030-01-31T00:00:00+00:00", "2030-01-31T23:59:59.999999+00:00"),
        ("9999-12-31", "9999-12-31T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"),
        ("2028-02-29T10:20:30Z", "2028-02-29T10:20:30+00:00", None),
        ("2030-01-31t10:20:30z", "2030-01-31T10:20:30+00:00", None),
        ("2030-01-31 10:20", "2030-01-31T10:20:00+00:00", None),
        ("2030-01-31T10:20:30.5-05:30", "2030-01-31T15:50:30.500000+00:00", None),
        ("2030-01-31T10:20:30.123456789+01:00", "2030-01-31T09:20:30.123456+00:00", None),
    ],
)
def test_a_due_date_is_read(text: str, starts_at: str, ends_at: str | None) -> None:
    due = parse(text)
    assert due.text == text
    assert due.starts_at.isoformat() == starts_at
    assert due.ends_at.isoformat() == (ends_at or starts_at)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2030-1-1",
        "20300131",
        "2030-W05-4",
        "2030-02-30",
        "2030-13-01",
        "1899-12-31",
        "0000-01-01",
        "10000-01-01",
        "2030-01-31T24:00:00Z",
        "2030-01-31T23:59:60Z",
        "2030-01-31T10",
        "2030-01-31T10:20:30+24:00",
        "2030-01-31T10:20:30,5Z",
        "2030-01-31Z",
        " 2030-01-31",
        "2030-01-31\n",
        "２０３０-01-31",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse(text)


@given(st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))
def test_an_instant_is_read_whatever_its_offset(instant: datetime) -> None:
    offset = instant.utcoffset()
    if offset is None or offset.total_seconds() % 60:
        return
    assert parse(instant.isoformat()).starts_at == instant.astimezone(UTC)
