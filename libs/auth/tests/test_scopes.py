"""What a user may do, read from any claim."""

import pytest
from todo_auth import Identity
from todo_auth.scopes import Claim, InsufficientScope, check_names, granted, require


def identity(**claims: object) -> Identity:
    return Identity("ann", "http://issuer.test", 2_000_000_000, claims)


@pytest.mark.parametrize(
    ("claims", "claim", "separator", "expected"),
    [
        ({"scope": "tasks:read tasks:write"}, "scope", " ", {"tasks:read", "tasks:write"}),
        ({"scope": " tasks:read  tasks:write "}, "scope", " ", {"tasks:read", "tasks:write"}),
        ({"scope": ["tasks:read", 7, None, "a b"]}, "scope", " ", {"tasks:read", "a b"}),
        ({"scope": "a,b"}, "scope", " ", {"a,b"}),
        ({"role": "user, admin,"}, "role", ",", {"user", "admin"}),
        ({"https://app.test/roles": ["admin"]}, "https://app.test/roles", " ", {"admin"}),
        ({"realm_access": {"roles": ["admin"]}}, ("realm_access", "roles"), " ", {"admin"}),
        ({"realm_access": "roles"}, ("realm_access", "roles"), " ", set()),
        ({"a.b": "x", "a": {"b": "y"}}, "a.b", " ", {"x"}),
        ({}, "scope", " ", set()),
        ({"scope": None}, "scope", " ", set()),
        ({"scope": True}, "scope", " ", set()),
        ({"scope": {"tasks:write": True}}, "scope", " ", set()),
        ({"scope": ""}, "scope", " ", set()),
        ({"scope": []}, "scope", " ", set()),
    ],
)
def test_a_claim_grants_its_words_or_its_strings(
    claims: dict[str, object], claim: Claim, separator: str, expected: set[str]
) -> None:
    assert granted(identity(**claims), claim, separator) == expected


def test_everything_needed_must_be_granted_and_exactly() -> None:
    user = identity(scope="tasks:read tasks:write")
    require(user, "tasks:read", "tasks:write")
    require(user)
    for needed in (["tasks"], ["TASKS:READ"], ["tasks:read", "admin"], ["tasks:read tasks:write"]):
        with pytest.raises(InsufficientScope):
            require(user, *needed)


def test_the_answer_names_the_scopes_that_are_needed() -> None:
    with pytest.raises(InsufficientScope) as refusal:
        require(identity(scope="tasks:read"), "tasks:read", "tasks:write")
    assert refusal.value.status == 403
    assert refusal.value.headers["WWW-Authenticate"] == (
        'Bearer realm="api", error="insufficient_scope", '
        'error_description="The access token does not allow this.", scope="tasks:read tasks:write"'
    )
    assert "['tasks:write']" in str(refusal.value), "the log tells what was missing"


@pytest.mark.parametrize("claim", ["role", ("scope", "x")])
def test_a_role_is_no_scope_and_is_not_told(claim: Claim) -> None:
    with pytest.raises(InsufficientScope) as refusal:
        require(identity(role="user"), "admin", claim=claim)
    assert "scope=" not in refusal.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("needed", [(), ("",), ("a b",), ('a"b',), ("a\\b",), ("ü",), ("a\n",)])
def test_names_that_would_break_the_challenge_are_refused(needed: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        check_names(needed)
