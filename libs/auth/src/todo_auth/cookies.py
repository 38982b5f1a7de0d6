"""A session cookie read from a request, and whether the request may rely on it: another site can cause a
request that carries the user's cookies, and another host of the site can plant one.

    AuthError
    ├── InvalidRequest
    │   └── CookieRepeated      400  cookie_repeated
    └── CrossSiteRefused        403  cross_site_refused

Task: T-034 · Spec: plan.md#session-exchange
"""

from collections.abc import Mapping

from todo_auth.errors import AuthError, InvalidRequest
from todo_auth.identity import RawHeaders

_SAFE_METHODS = frozenset({"GET", "HEAD"})


class CookieRepeated(InvalidRequest):
    """Two session cookies: one may have been planted by another host of the site (RFC 6265 §8.6)."""

    code = "cookie_repeated"
    detail = "Send exactly one session cookie."


class CrossSiteRefused(AuthError):
    """A session cookie on a request that another site may have caused (403)."""

    code = "cross_site_refused"
    status = 403
    detail = "A session cookie counts only on requests from the application's own pages."

    @property
    def headers(self) -> Mapping[str, str]:
        return {}


def session_cookie(headers: RawHeaders, name: bytes) -> bytes | None:
    """The cookie of that name as `name=value`, as it was sent; None without one, or with an empty value.

    `__Secure-` before the name is looked for first and then counts alone: only https can have set it (RFC
    6265bis §4.1.3.1). Several Cookie headers are one (RFC 9113 §8.2.3). Raises CookieRepeated.
    """
    pairs = [
        (pair.strip(b" \t"), pair.partition(b"=")[0].strip(b" \t"))
        for header, value in headers
        if header == b"cookie"
        for pair in value.split(b";")
    ]
    for wanted in (b"__Secure-" + name, name):
        found = [pair for pair, pair_name in pairs if pair_name == wanted]
        if len(found) > 1:
            raise CookieRepeated(f"{len(found)} cookies of one name")
        if found and found[0].partition(b"=")[2]:
            return found[0]
    return None


def refuse_cross_site(headers: RawHeaders, method: str | None, origins: frozenset[bytes]) -> None:
    """Raises CrossSiteRefused unless a request with ambient credentials comes from the application's pages.

    `Sec-Fetch-Site` decides where a browser sends it (W3C Fetch Metadata; no page can forge it):
    `same-origin` passes, `same-site` with an allowed `Origin`, `none` (the address bar) with GET and HEAD,
    `cross-site` never. Without it, `Origin` must be an allowed one (OWASP CSRF Prevention, "verifying
    origin"). With neither, GET and HEAD pass and all else is refused: such a request is an older browser's
    navigation or subresource, or no browser's; what is safe (RFC 9110 §9.2.1) changes nothing, and without
    an allowed Origin no page can read the answer. OPTIONS is refused too: preflights carry no cookies.
    """
    sites = [value for name, value in headers if name == b"sec-fetch-site"]
    sent = [value for name, value in headers if name == b"origin"]
    is_safe = method in _SAFE_METHODS
    is_allowed = len(sent) == 1 and sent[0] in origins
    match sites:
        case [b"same-origin"]:
            passes = True
        case [b"same-site"]:
            passes = is_allowed
        case [b"none"]:
            passes = is_safe and not sent
        case []:
            passes = is_allowed if sent else is_safe
        case _:
            passes = False
    if not passes:
        raise CrossSiteRefused("by Sec-Fetch-Site" if sites else "by Origin")
