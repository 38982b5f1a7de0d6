"""Route templates: few, whatever is sent."""

import pytest
from todo_gateway import routes, templates

template = templates.of([routes.tasks(("http://tasks:8001",))])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/tasks", "/api/tasks"),
        ("/api/tasks/", "/api/tasks"),
        ("/api/v1/todos", "/api/tasks"),
        ("/api/ann/tasks/0190", "/api/tasks/{id}"),
        ("/api/v1/ann/todos/0190/complete", "/api/tasks/{id}/{action}"),
        ("/api/tasks/x%20y", "/api/tasks/{id}"),
        ("/api/%74asks", "/api/tasks"),
        ("/api/tasks/a/b/c", "other"),
        ("/api/categories/1", "/api/categories/{id}"),
        ("/api/ann/stats", "/api/stats"),
        ("/api/stats/1", "other"),
        ("/api/", "other"),
        ("/api/v1", "other"),
        ("/api/ann", "other"),
        ("/api/ann/bob/tasks", "other"),
        ("/api/%ff%fe", "other"),
        ("/api/%2e%2e/tasks", "other"),
        ("/api/" + "a/" * 4000, "other"),
        ("/healthz", "/healthz"),
        ("/docs", "/docs"),
        ("/docs/static/swagger-ui.css", "other"),
        ("/wp-login.php", "other"),
    ],
)
def test_every_spelling_has_one_template_and_the_rest_is_other(path: str, expected: str) -> None:
    assert template({"type": "http", "path": path, "raw_path": path.encode()}) == expected
