"""The routes file: read whole, every problem told at once, the longest prefix first."""

from pathlib import Path

import pytest
from todo_gateway import routes
from todo_gateway.routes import RoutesError


def read(tmp_path: Path, text: str) -> tuple[routes.Route, ...]:
    file = tmp_path / "routes.toml"
    file.write_text(text)
    return routes.read(file)


def test_a_file_is_read_with_what_it_leaves_out(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [[route]]
        prefix = "/"
        upstream = "http://site:1"
        public = true
        [[route]]
        prefix = "/billing"
        upstream = ["http://a:1", "https://b"]
        scope = "billing:read billing:write"
        claims = { role = ["owner", "accountant"], org = { plan = "pro" } }
        rate_limit = "60/minute"
        timeout = 5
        strip_prefix = true
        [[route]]
        prefix = "/billing/export"
        upstream = "http://export:1/"
        """,
    )
    assert [route.prefix for route in found] == ["/billing/export", "/billing", "/"]
    export, billing, site = found
    assert export.upstream == ("http://export:1",)
    assert billing.scope == ("billing:read", "billing:write")
    assert billing.claims == {("role",): ("owner", "accountant"), ("org", "plan"): ("pro",)}
    assert (billing.timeout, billing.strip_prefix, billing.public) == (5, True, False)
    assert (export.name, billing.name, site.name) == ("billing-export", "billing", "root")


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("/a/b", "/a/b"), ("/a/b/c", "/a/b"), ("/a/bc", "/a"), ("/a", "/a"), ("/ab", None), ("/", None)],
)
def test_the_longest_prefix_wins_on_the_border_of_a_segment(
    tmp_path: Path, path: str, prefix: str | None
) -> None:
    found = read(
        tmp_path,
        "\n".join(f'[[route]]\nprefix = "{name}"\nupstream = "http://x:1"' for name in ("/a", "/a/b")),
    )
    matched = routes.match(found, path)
    assert (matched.prefix if matched else None) == prefix


def test_every_problem_is_told_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(RoutesError) as caught:
        read(
            tmp_path,
            """
            workers = 3
            [[route]]
            prefix = "/a/"
            upstrem = "http://x:1"
            [[route]]
            prefix = "/b"
            upstream = "ftp://x"
            timeout = 0
            [[route]]
            prefix = "/c"
            upstream = "http://x:1"
            [[route]]
            prefix = "/c"
            upstream = "http://y:1"
            """,
        )
    told = "\n".join(caught.value.problems)
    for part in (
        "'workers' is not known",
        "route 1: prefix: must be a plain path",
        "route 1: upstream is missing",
        "'upstrem' is not known. Did you mean 'upstream'?",
        "route 2: upstream: must be one or more http:// or https:// addresses",
        "route 2: timeout:",
        "the prefix /c is there twice",
    ):
        assert part in told


@pytest.mark.parametrize(
    "line",
    [
        'prefix = "/healthz"',
        'prefix = "/docs/static"',
        'prefix = "/a//b"',
        'prefix = "/a/../b"',
        'prefix = "/a%2fb"',
        'prefix = "a"',
        'prefix = ""',
        'prefix = "/a"\npublic = true\nscope = "x"',
        'prefix = "/a"\ntasks = true',
        'prefix = "/a"\nmax_body_bytes = -1',
        'prefix = "/a"\nopenapi = "openapi.json"',
        'prefix = "/a"\nrate_limit = "often"',
        'prefix = "/é"',
    ],
)
def test_a_route_that_could_not_work_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(RoutesError):
        read(tmp_path, f'[[route]]\nupstream = "http://x:1"\n{line}\n')


@pytest.mark.parametrize("text", ["", "route = 3", "[[route", "route = [1]", "\x00"])
def test_a_file_without_routes_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(RoutesError) as caught:
        read(tmp_path, text)
    assert "[[route]]" in str(caught.value) or "TOML" in str(caught.value)


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RoutesError, match="cannot be read"):
        routes.read(tmp_path / "absent.toml")


def test_an_upstream_with_user_or_path_is_refused(tmp_path: Path) -> None:
    for url in ("http://user@x:1", "http://x:1/path", "http://x:1?q", "http://"):
        with pytest.raises(RoutesError):
            read(tmp_path, f'[[route]]\nprefix = "/a"\nupstream = "{url}"')
