"""Every reason why a verifier refuses what an application sends.

Task: T-035 · Spec: plan.md#doctor
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx

from todo_auth import errors, jws
from todo_auth.doctor.finding import Finding, shown
from todo_auth.doctor.network import Network
from todo_auth.identity import LEEWAY_S, MIN_SECRET_BYTES, Identity
from todo_auth.issuers import TrustedIssuer
from todo_auth.jwk import read_key_set
from todo_auth.jwks import KeySet
from todo_auth.verifier import DEFAULT_MAX_LIFETIME_S, Verifier

MAX_SESSION_CHARS = 1024

_NO_TOKENS = frozenset(
    {"", "undefined", "null", "none", "nan", "true", "false", "[object object]", "[object promise]"}
)
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Expectation:
    """How the application is configured. `document`: the key set that is at `jwks_url`, None where none was
    found. `token_url`: where the issuer exchanges sessions.
    """

    issuer: str
    audience: frozenset[str]
    jwks_url: str
    document: bytes | None
    secret: str | None = field(repr=False)
    token_url: str


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the verifier is told; the verdict on one rule is followed by a look at the others."""

    issuer: str
    audience: frozenset[str]
    max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S
    leeway_s: float = LEEWAY_S
    types: tuple[str, ...] = ("JWT",)
    now: float | None = None


async def examine_token(
    token: str, expectation: Expectation, network: Network, now: Callable[[], float]
) -> list[Finding]:
    """What a token, or what is sent in its place, is refused for; one `ok` where it is accepted."""
    findings: list[Finding] = []
    if expectation.secret is not None and len(expectation.secret.encode()) < MIN_SECRET_BYTES:
        text = f"The shared secret has less than {MIN_SECRET_BYTES} bytes, and no verifier takes it."
        findings.append(Finding("problem", "secret_too_short", text, "openssl rand -base64 32 makes one."))
        expectation = replace(expectation, secret=None)
    scheme, _, rest = token.strip().partition(" ")
    if scheme.lower() == "bearer":
        token = rest
    token = token.strip().strip("\"'")
    if token.lower() in _NO_TOKENS:
        text = f"{shown(token)} is sent instead of a token."
        hint = "The page sends its request before it has the token, or reads it from the wrong member."
        return [*findings, Finding("problem", "no_token", text, hint)]
    if token.count(".") < 2:
        return findings + await _examine_session(token, expectation, network, now)
    return findings + await _judge(token, expectation, now)


async def _judge(token: str, expectation: Expectation, now: Callable[[], float]) -> list[Finding]:
    """The verifier's verdict; after each that a rule can be lifted for, the next one."""
    findings: list[Finding] = []
    rules = _Rules(expectation.issuer, expectation.audience)
    while True:
        try:
            identity = await _verify(token, expectation, rules, now)
        except errors.AuthError as error:
            finding, lifted = _explain(error, token, expectation, rules, now())
            findings.append(finding)
            if lifted is None or lifted == rules:
                return findings
            rules = lifted
        else:
            break
    if not findings:
        left = identity.expires_at - now()
        text = f"The token is accepted: user {shown(identity.user_id)}, for another {left:.0f} s."
        findings.append(Finding("ok", "token", text))
    return findings


async def _verify(
    token: str, expectation: Expectation, rules: _Rules, now: Callable[[], float]
) -> Identity[object]:
    """The verifier's own verdict, with the key set that was found."""
    document = expectation.document
    answer = httpx.Response(503) if document is None else httpx.Response(200, content=document)
    moment = rules.now
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        keys = KeySet(expectation.jwks_url, client=client)
        trusted = TrustedIssuer(rules.issuer, rules.audience, keys, expectation.secret)
        verifier: Verifier[object] = Verifier(
            trusted,
            max_lifetime_s=rules.max_lifetime_s,
            leeway_s=rules.leeway_s,
            types=rules.types,
            now=now if moment is None else lambda: moment,
        )
        try:
            return await verifier.verify(token)
        finally:
            await verifier.aclose()


def _explain(
    error: errors.AuthError, token: str, expectation: Expectation, rules: _Rules, now: float
) -> tuple[Finding, _Rules | None]:
    """A refusal in words, and the rules without the one that was broken; None where nothing can follow."""
    header, claims = _part(token, 0), _part(token, 1)
    lifted: _Rules | None = None
    match error:
        case errors.IssuerMismatch():
            issuer = claims.get("iss")
            text = f"The token's iss is {shown(issuer)}, but {shown(rules.issuer)} is expected."
            hint = _difference(issuer, rules.issuer, "BETTER_AUTH_ISSUER", "baseURL")
            lifted = replace(rules, issuer=issuer) if isinstance(issuer, str) and issuer else None
        case errors.AudienceMismatch():
            audience = claims.get("aud")
            wanted = " or ".join(shown(value) for value in sorted(rules.audience))
            text = f"The token's aud is {shown(audience)}, but {wanted} is expected."
            hint = _difference(audience, min(rules.audience), "BETTER_AUTH_AUDIENCE", "jwt.audience")
            values = audience if isinstance(audience, list) else [audience]
            named = frozenset(value for value in values if isinstance(value, str) and value)
            lifted = replace(rules, audience=named) if named else None
        case errors.TokenExpired():
            ended = claims["exp"]
            assert isinstance(ended, int | float)
            text = f"The token expired {now - ended:.0f} s ago."
            hint = "Ask for a new one before it ends: Better Auth's live 15 minutes."
            lifted = replace(rules, now=ended - 1)
        case errors.TokenNotYetValid():
            dates = [value for name in ("iat", "nbf") if isinstance(value := claims.get(name), int | float)]
            text = f"The token is from {max(dates) - now:.0f} s in the future (iat or nbf)."
            hint = "The issuer's clock is ahead of this machine's: synchronise both (NTP)."
            lifted = replace(rules, leeway_s=math.inf)
        case errors.LifetimeTooLong():
            text = f"The token lives longer than the {rules.max_lifetime_s:.0f} s that are accepted."
            hint = "Shorten jwt.expirationTime in Better Auth, or raise MAX_TOKEN_LIFETIME."
            lifted = replace(rules, max_lifetime_s=math.inf)
        case errors.TypeRefused():
            type_ = header.get("typ")
            text = f"The token's typ is {shown(type_)}: it is another kind of token than an access token."
            hint = "Send the one that /token answers; at+jwt has to be allowed (types)."
            name = type_.lower().removeprefix("application/") if isinstance(type_, str) else None
            lifted = replace(rules, types=(*rules.types, name)) if name else None
        case errors.AlgorithmRefused() if header.get("alg") == "HS256":
            text = "The token is signed with a shared secret (HS256), but no secret is configured."
            hint = "Set BETTER_AUTH_SECRET (here --secret-env), or let Better Auth's jwt() make the tokens."
        case errors.AlgorithmRefused():
            text = f"The token's alg is {shown(header.get('alg'))}, which is not accepted."
            hint = "EdDSA, ES256, ES384, ES512, RS256 and PS256 are, with a key of the set."
        case errors.SignatureInvalid() if header.get("alg") == "HS256":
            text = "The token is not signed with the secret that is configured."
            hint = "The secret was changed on one side only, or belongs to another application."
        case errors.SignatureInvalid():
            text = "The signature is not that of the key which the token names."
            hint = "It was changed or cut on its way, or the issuer has another key of the same kid."
        case errors.KeyUnknown():
            kid, kids = shown(header.get("kid")), _kids(expectation)
            text = f"The token's key {kid} is not in the key set, which has {kids}."
            hint = (
                "The key was withdrawn, the table jwks was emptied, or the token is another environment's."
                " Sign in again for a new one."
            )
        case errors.KeysUnavailable():
            text, hint = "The token cannot be judged without a key set.", ""
        case errors.SubjectInvalid():
            text = f"The token's sub is {shown(claims.get('sub'))}."
            hint = "1 to 255 visible ASCII characters are needed: keep the user's id as sub (jwt.getSubject)."
        case _:
            text = f"The token cannot be read or is not accepted: {error}."
            hint = "It is encrypted (JWE), which no key set opens." if token.count(".") == 4 else ""
    return Finding("problem", error.code, text, hint), lifted


async def _examine_session(
    token: str, expectation: Expectation, network: Network, now: Callable[[], float]
) -> list[Finding]:
    """What is no JWT is mostly Better Auth's session token; its issuer knows."""
    text = "What is sent is no JWT; it looks like Better Auth's session token."
    hint = "Send what authClient.token() or GET /token gives, or turn SESSION_EXCHANGE on."
    opaque = Finding("problem", "opaque_token", text, hint)
    url = expectation.token_url
    if len(token) > MAX_SESSION_CHARS or _VISIBLE.match(token) is None:
        return [replace(opaque, text="What is sent is neither a JWT nor a session token.")]
    answer = await network.ask(url, bearer=token)
    if answer.unreachable is not None:
        return [opaque, answer.unreachable]
    try:
        document = jws.strict_json(answer.body or b"")
    except ValueError:
        document = None
    exchanged = document.get("token") if isinstance(document, dict) else None
    if isinstance(exchanged, str):
        text = f"{url} exchanges it for a JWT, so that SESSION_EXCHANGE would do."
        return [opaque, Finding("ok", "session", text), *await _judge(exchanged, expectation, now)]
    if answer.status == 401:
        text = f"{url} does not know the session."
        hint = "It has ended, or the plugin bearer() is missing, without which only the cookie counts."
        return [opaque, Finding("problem", "session_refused", text, hint)]
    if answer.status >= 500:
        text = f"{url} fails (status {answer.status})."
        hint = (
            "Was BETTER_AUTH_SECRET changed? The private keys in the table jwks are encrypted with the old"
            " one: the issuer's log says so. Delete those rows, and new keys are made."
        )
        return [opaque, Finding("problem", "issuer_fails", text, hint)]
    text = f"{url} gives no token (status {answer.status})."
    return [opaque, Finding("problem", "no_jwt_plugin", text, "Is jwt() among Better Auth's plugins?")]


def _part(token: str, index: int) -> dict[str, object]:
    """The header (0) or payload (1) of a token, empty where it cannot be read."""
    try:
        value = jws.strict_json(jws.decode(token.split(".")[index], "part"))
    except (ValueError, errors.TokenMalformed):
        return {}
    return value if isinstance(value, dict) else {}


def _difference(found: object, wanted: str, setting: str, option: str) -> str:
    """What to do about two values that should be one."""
    if isinstance(found, str) and found.rstrip("/") == wanted.rstrip("/"):
        return f"Only the slash at the end differs: set {setting}={found}"
    if isinstance(found, str) and _as_localhost(found) == _as_localhost(wanted):
        return f"localhost and 127.0.0.1 are two names: use one of them in both places ({option}, {setting})."
    return f"If the token is from your own issuer, set {setting} to what it says, or {option} in Better Auth."


def _as_localhost(url: str) -> str:
    return url.replace("//127.0.0.1", "//localhost").replace("//[::1]", "//localhost")


def _kids(expectation: Expectation) -> str:
    members = read_key_set(expectation.document or b'{"keys":[]}').values()
    return ", ".join(shown(jwk.get("kid")) for jwk in members) or "none"
