"""Where an issuer's key set is, and which of its keys serve.

Task: T-035 · Spec: plan.md#doctor
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from todo_auth import jws
from todo_auth.doctor.finding import Finding, Level, shown
from todo_auth.doctor.network import Answer, Network
from todo_auth.identity import LEEWAY_S
from todo_auth.jwk import KeyRefused, SigningKey, read_key_set

NOTABLE_SKEW_S = 5

_BETTER_AUTH = "/api/auth/jwks"
_NEON_AUTH = "/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Found:
    """`document`: the key set, if there is one. `issuer`: `iss` and `aud` as they are derived from the URL.
    `token_url`: where the issuer gives a token for a session.
    """

    answer: Answer
    document: bytes | None
    issuer: str
    token_url: str


async def find_key_set(network: Network, base: str, jwks_url: str | None, findings: list[Finding]) -> Found:
    """The key set where the settings say it is; failing that, where it is usually found."""
    first = await network.ask(jwks_url or base + _BETTER_AUTH)
    token_url = f"{base}/api/auth/token"
    if (fault := _fault(first)) is None:
        findings.append(Finding("ok", "key_set", f"The key set is at {first.url}."))
        return Found(first, first.body, base, token_url)
    if first.unreachable is not None and jwks_url is None:
        findings.append(fault)
        return Found(first, None, base, token_url)
    for url in _usual_places(base):
        if url == first.url or _fault(other := await network.ask(url)) is not None:
            continue
        token_url = f"{url.removesuffix(_NEON_AUTH).removesuffix('/jwks')}/token"
        if jwks_url is None and url == base + _NEON_AUTH:
            text = f"The key set is at {url}, which is Neon Auth's layout."
            findings.append(Finding("ok", "key_set", text, f"Set NEON_AUTH_BASE_URL={base}"))
            return Found(other, other.body, _origin(base), token_url)
        findings.append(fault)
        findings.append(Finding("problem", "elsewhere", f"The key set is at {url}.", _setting(url)))
        issuer = url.removesuffix(_BETTER_AUTH) if url.endswith(_BETTER_AUTH) else _origin(base)
        return Found(other, other.body, issuer, token_url)
    findings += [fault, await _nowhere(network, base)]
    return Found(first, None, base, token_url)


async def _nowhere(network: Network, base: str) -> Finding:
    """Whether Better Auth answers at all (`/ok`)."""
    health = await network.ask(f"{base}/api/auth/ok")
    try:
        is_better_auth = health.body is not None and jws.strict_json(health.body) == {"ok": True}
    except ValueError:
        is_better_auth = False
    if is_better_auth:
        text = f"Better Auth answers at {base}/api/auth, but shows no key set."
        hint = "Add jwt() to its plugins, and run its migration for the table jwks."
        return Finding("problem", "no_jwt_plugin", text, hint)
    text = "No key set is in any of the usual places below that URL."
    hint = "Give the baseURL that Better Auth itself is configured with, or the keys' address (--jwks-url)."
    return Finding("problem", "key_set_not_found", text, hint)


def key_findings(document: bytes) -> list[Finding]:
    """Which keys of the set serve, and why the others do not."""
    skipped: list[Finding] = []
    usable: list[str] = []
    members = read_key_set(document).values()
    for jwk in members:
        name = shown(jwk.get("kid"))
        try:
            usable.append(f"{SigningKey.from_jwk(jwk).algorithm} {name}")
        except KeyRefused as error:
            hint = "" if "alg" in jwk else "Better Auth before 1.3.4 may leave alg out: upgrade it."
            skipped.append(Finding("warning", "key_skipped", f"Key {name} is skipped: {error}.", hint))
    if usable:
        return [Finding("ok", "keys", f"Keys that serve: {', '.join(usable)}."), *skipped]
    if members:
        return [*skipped, Finding("problem", "no_usable_key", "No key of the set can be used.")]
    text = "The key set is empty, which is normal before the first token."
    hint = "Sign in and ask for a token once: Better Auth makes its key then."
    return [Finding("warning", "empty_key_set", text, hint)]


def clock_findings(headers: Mapping[str, str], now: float) -> list[Finding]:
    """The issuer's clock (`Date`, to the second) against ours; nothing where it sends none."""
    try:
        skew = parsedate_to_datetime(headers["date"]).timestamp() - now
    except (KeyError, ValueError, TypeError):
        return []
    if abs(skew) <= NOTABLE_SKEW_S:
        return [Finding("ok", "clock", "The issuer's clock and this machine's agree.")]
    way = "ahead of" if skew > 0 else "behind"
    text = f"The issuer's clock is {abs(skew):.0f} s {way} this machine's."
    hint = f"Synchronise both (NTP): a token from more than {LEEWAY_S:.0f} s in the future is refused."
    level: Level = "problem" if abs(skew) > LEEWAY_S else "warning"
    return [Finding(level, "clock_skew", text, hint)]


def _fault(answer: Answer) -> Finding | None:
    """What makes an answer no key set; None where it is one."""
    url, status = answer.url, answer.status
    if answer.unreachable is not None:
        return answer.unreachable
    if 300 <= status < 400:
        text = f"{url} answers with a redirect ({status}) to {shown(answer.headers.get('location', ''))}."
        hint = "Redirects are not followed: configure the address that it leads to."
        return Finding("problem", "redirect", text, hint)
    if answer.is_html:
        text = f"{url} answers with an HTML page (status {status}) where JSON was expected."
        hint = "A page of the application, of a proxy or of a login wall, but not Better Auth's answer."
        return Finding("problem", "html", text, hint)
    if status >= 500:
        text = f"{url} answers with status {status}."
        hint = "See the issuer's log: its database may be away, or lack the table jwks."
        return Finding("problem", "issuer_fails", text, hint)
    if status != 200:
        return Finding("problem", "wrong_path", f"There is no key set at {url} (status {status}).")
    reason = answer.refused
    if answer.body is not None:
        try:
            read_key_set(answer.body)
            return None
        except ValueError as error:
            reason = str(error)
    return Finding("problem", "not_a_key_set", f"What {url} answers is no key set ({shown(reason)}).")


def _usual_places(base: str) -> list[str]:
    """Where key sets are found: below what was given, and below its origin."""
    below = (_BETTER_AUTH, _NEON_AUTH, "/jwks", "/auth/jwks", "/api/jwks")
    places = [base + path for path in below] + [_origin(base) + path for path in below]
    return list(dict.fromkeys([*places, base]))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _setting(url: str) -> str:
    """What to configure so that the keys are looked for at `url`."""
    for path, name in ((_BETTER_AUTH, "BETTER_AUTH_URL"), (_NEON_AUTH, "NEON_AUTH_BASE_URL")):
        if url.endswith(path):
            return f"Set {name}={url.removesuffix(path)}"
    return f"Set BETTER_AUTH_JWKS_URL={url}"
