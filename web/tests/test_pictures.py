"""The pictures of the README, taken with `./dev web --pictures` only.

Task: T-058 · Spec: plan.md#web-page
"""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]
NewContext = Callable[..., BrowserContext]

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"


def day(offset: int) -> str:
    return (datetime.date.today() + datetime.timedelta(days=offset)).isoformat()


@pytest.fixture(autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    """Pictures change with every day: they are taken when somebody wants them."""
    if not request.config.getoption("--pictures"):
        pytest.skip("taken with --pictures only")


def fill(page: Page, sign_up: SignUp) -> None:
    """A list as a person may have it."""
    sign_up(
        page,
        {"title": "Read the chapter on indexes", "tags": ["learning"], "priority": "low"},
        {"title": "Ring grandmother", "category": "Family"},
        {"title": "Renew the passport", "category": "Travel", "due_date": day(20), "priority": "high"},
        {
            "title": "Book the night train",
            "category": "Travel",
            "due_date": day(3),
            "tags": ["rail", "family"],
        },
        {
            "title": "Prepare the review",
            "category": "Work",
            "due_date": day(1),
            "description": "Figures of May",
        },
        {"title": "Water the plants", "category": "Home", "due_date": day(0)},
        {"title": "Pay the electricity", "category": "Home", "due_date": day(-2), "priority": "urgent"},
        {"title": "Buy stamps", "category": "Home", "completed": True},
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_picture_of_the_page(new_context: NewContext, sign_up: SignUp, scheme: str) -> None:
    page = new_context(color_scheme=scheme).new_page()
    fill(page, sign_up)
    name = "page.png" if scheme == "light" else "page-dark.png"
    page.screenshot(path=IMAGES / name, animations="disabled")


def test_picture_of_a_phone_with_a_task_on_its_way(new_context: NewContext, sign_up: SignUp) -> None:
    page = new_context(width=390, height=844, is_touched=True).new_page()
    fill(page, sign_up)
    page.get_by_label("Sort").select_option("position")
    row = page.get_by_role("listitem").filter(has_text="Pay the electricity")
    row.get_by_role("button", name="Move up: Pay the electricity").click()
    expect(page.get_by_role("status").filter(has_text="Moved")).to_be_visible()
    page.get_by_role("search").scroll_into_view_if_needed()
    page.screenshot(path=IMAGES / "page-phone.png", animations="disabled")
