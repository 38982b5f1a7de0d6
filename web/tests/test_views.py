"""Which tasks are shown, and in which order: filters, search, sorting, and the address that says them.

Task: T-058 · Spec: plan.md#web-page
"""

import datetime
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.timeout(300)  # The first test waits for the stack, which may have to build the page.

SignUp = Callable[..., str]


def day(offset: int) -> str:
    return (datetime.date.today() + datetime.timedelta(days=offset)).isoformat()


def titles(page: Page) -> Locator:
    return page.locator("li [data-stop]")


def fill(page: Page, sign_up: SignUp) -> Locator:
    """A list of five, and the bar that narrows it."""
    sign_up(
        page,
        {"title": "Write the report", "category": "Work", "priority": "high", "due_date": day(3)},
        {"title": "Answer a letter", "category": "Home", "tags": ["post"], "completed": True},
        {"title": "Call the plumber", "category": "Home", "priority": "urgent", "due_date": day(-1)},
        {"title": "Buy stamps", "tags": ["post", "shop"], "due_date": day(0)},
        {"title": "Éclairs for the team", "tags": ["shop"], "description": "Without nuts", "priority": "low"},
    )
    return page.get_by_role("search")


def test_filters_and_search_narrow_the_list_together(page: Page, sign_up: SignUp) -> None:
    bar = fill(page, sign_up)
    bar.get_by_role("button", name="Completed 1").click()
    expect(titles(page)).to_have_text(["Answer a letter"])
    bar.get_by_role("button", name="Active 4").click()
    expect(titles(page)).to_have_count(4)
    bar.get_by_label("Category").select_option("Home")
    expect(titles(page)).to_have_text(["Call the plumber"])
    bar.get_by_label("Category").select_option("")
    bar.get_by_label("Priority").select_option("low")
    expect(titles(page)).to_have_text(["Éclairs for the team"])
    bar.get_by_label("Priority").select_option("")
    bar.get_by_label("Tag").select_option("shop")
    expect(titles(page)).to_have_text(["Buy stamps", "Éclairs for the team"])
    expect(bar.get_by_role("status")).to_contain_text("2 of 5 shown.")
    bar.get_by_label("Search").fill("NUTS team")
    expect(titles(page)).to_have_text(["Éclairs for the team"])
    bar.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No task matches.")).to_be_visible()
    page.get_by_role("button", name="Show all tasks").click()
    expect(titles(page)).to_have_count(5)
    expect(bar.get_by_role("status")).to_be_empty()


def test_tasks_are_found_by_when_they_are_due(page: Page, sign_up: SignUp) -> None:
    bar = fill(page, sign_up)
    for due, expected in {
        "overdue": ["Call the plumber"],
        "today": ["Buy stamps"],
        "week": ["Buy stamps", "Write the report"],
        "none": ["Éclairs for the team", "Answer a letter"],
    }.items():
        bar.get_by_label("Due").select_option(due)
        expect(titles(page)).to_have_text(expected)


def test_a_tag_in_the_list_shows_what_has_it(page: Page, sign_up: SignUp) -> None:
    bar = fill(page, sign_up)
    page.get_by_role("listitem").filter(has_text="Buy stamps").get_by_role("button", name="#post").click()
    expect(titles(page)).to_have_text(["Buy stamps", "Answer a letter"])
    expect(bar.get_by_label("Tag")).to_have_value("post")


def test_the_list_is_sorted_as_the_person_says(page: Page, sign_up: SignUp) -> None:
    bar = fill(page, sign_up)
    report, plumber, stamps, team = (
        "Write the report",
        "Call the plumber",
        "Buy stamps",
        "Éclairs for the team",
    )
    for sort, expected in {
        "due": [plumber, stamps, report, team],
        "priority": [plumber, report, stamps, team],
        "title": [stamps, plumber, team, report],
        "created": [team, stamps, plumber, report],
        "position": [report, plumber, stamps, team],
    }.items():
        bar.get_by_label("Sort").select_option(sort)
        # What is completed comes last in every order.
        expect(titles(page)).to_have_text([*expected, "Answer a letter"])


def test_the_address_says_what_is_shown(page: Page, sign_up: SignUp) -> None:
    bar = fill(page, sign_up)
    bar.get_by_label("Tag").select_option("shop")
    bar.get_by_label("Sort").select_option("title")
    bar.get_by_label("Search").fill("team & co")
    expect(page).to_have_url(re.compile(r"/\?tag=shop&search=team\+%26\+co&sort=title$"))
    page.reload()
    expect(bar.get_by_label("Search")).to_have_value("team & co")
    expect(bar.get_by_label("Tag")).to_have_value("shop")
    bar.get_by_label("Search").fill("")
    expect(titles(page)).to_have_text(["Buy stamps", "Éclairs for the team"])
    page.goto("/?sort=nonsense&due=never&status=&tag=gone")
    expect(bar.get_by_label("Sort")).to_have_value("due")
    expect(bar.get_by_label("Tag")).to_have_value("gone")
    page.get_by_role("button", name="Show all tasks").click()
    expect(titles(page)).to_have_count(5)
    expect(page).to_have_url(re.compile("/$"))
