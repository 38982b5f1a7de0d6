from datetime import UTC, datetime

from sqlmodel import Session, select
from uuid6 import uuid7

from todo_tasks.categories.models import Category
from todo_tasks.engine import make_engine
from todo_tasks.tasks.models import Task

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_task_and_its_category_know_each_other(url: str) -> None:
    engine = make_engine(url, 5)
    user = str(uuid7())
    with Session(engine) as session:
        category = Category(
            user_id=user, id=uuid7(), name="Home", name_key="home", created_at=NOW, updated_at=NOW
        )
        stored = Task(
            user_id=user,
            id=uuid7(),
            title="x",
            position=1,
            category=category,
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(stored)
        session.commit()
        assert stored.category_id == category.id
        assert (stored.status, stored.priority, stored.tags, stored.version) == ("pending", "medium", [], 1)
    with Session(engine) as session:
        found = session.exec(select(Category).where(Category.user_id == user)).one()
        assert [task.title for task in found.tasks] == ["x"]
        assert found.tasks[0].category is found
        # Taking a task out of its category leaves it with its user.
        found.tasks[0].category = None
        session.commit()
        left = session.exec(select(Task).where(Task.user_id == user)).one()
        assert (left.user_id, left.category_id) == (user, None)
        session.delete(left)
        session.delete(found)
        session.commit()
    engine.dispose()
