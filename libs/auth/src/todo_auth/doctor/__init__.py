"""What is wrong between an application and its issuer, in words.

    findings = await examine("http://localhost:3000", token=token)
    problems = [finding for finding in findings if finding.level == "problem"]

The verdicts are the verifier's own: keys are fetched, read and used by the same code, and a refused token is
judged again without the one rule that refused it, until every reason is known.

Task: T-035 · Spec: plan.md#doctor
"""

import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from todo_auth.doctor.finding import Finding
from todo_auth.doctor.key_sets import clock_findings, find_key_set, key_findings
from todo_auth.doctor.network import Network
from todo_auth.doctor.tokens import Expectation, examine_token

__all__ = ["Finding", "examine"]


async def examine(
    url: str,
    *,
    token: str | None = None,
    issuer: str | None = None,
    audience: str | Iterable[str] | None = None,
    jwks_url: str | None = None,
    secret: str | None = None,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """Everything worth saying about the issuer at `url` (what `BETTER_AUTH_URL` or `NEON_AUTH_BASE_URL` is
    set to) and a token of it, in the order in which it was found.

    `token`: a JWT, or what an application sends in its place. A session token is shown to that issuer's own
    `/token`, and to nobody else. `issuer`, `audience`, `jwks_url`, `secret`: as they are configured, where
    they are not derived from `url`. No finding holds a whole token, a signature or a secret.
    """
    base = url.strip().rstrip("/")
    for name, address in (("URL", base), ("address of the keys", jwks_url)):
        if address is not None and not _is_http_address(address):
            text = f"The {name} is not an http:// or https:// address without user, query and fragment."
            return [Finding("problem", "bad_url", text, "It looks like http://localhost:3000.")]
    async with Network() as network:
        findings: list[Finding] = []
        found = await find_key_set(network, base, jwks_url, findings)
        findings += clock_findings(found.answer.headers, now())
        if found.document is not None:
            findings += key_findings(found.document)
        if token is not None:
            audiences = frozenset({audience} if isinstance(audience, str) else audience or ())
            expectation = Expectation(
                issuer or found.issuer,
                audiences or frozenset({found.issuer}),
                found.answer.url,
                found.document,
                secret,
                found.token_url,
            )
            findings += await examine_token(token, expectation, network, now)
    return findings


def _is_http_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_good and is_plain
