import pytest
from sqlalchemy import exc

from todo_tasks import constraints


@pytest.mark.parametrize(
    ("name", "message", "violated"),
    [
        ("pk_task", "", "pk_task"),
        (
            None,
            'insert or update on table "task_102019" violates foreign key constraint "fk_task_user_102019"',
            "fk_task_user",
        ),
        (None, "doppelter Schlüsselwert verletzt Unique-Constraint »pk_task_102019«", "pk_task"),
        ("fk_theirs", 'violates foreign key constraint "fk_task_user_102019"', "fk_theirs"),
        (None, 'violates check constraint "ck_task_title_102019"', None),
        (None, 'violates unique constraint "their_pk_task_102019"', None),
        (None, "division by zero", None),
    ],
)
def test_the_constraint_of_a_shard_is_known(name: str | None, message: str, violated: str | None) -> None:
    assert constraints.violated(name, message) == violated


def test_an_error_of_no_server_violates_nothing() -> None:
    assert constraints.violated_in(exc.InternalError("INSERT", {}, ValueError("pk_task"))) is None
