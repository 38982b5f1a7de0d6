"""A key set's document, had from its address within limits.

Task: T-007 · Spec: plan.md#key-set
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

MAX_KEY_SET_BYTES = 512 * 1024

_MAX_AGE = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})"?\s*(?:,|$)', re.IGNORECASE)
_AGE = re.compile(r"\d{1,10}\Z")


@dataclass(frozen=True, slots=True)
class KeyDocument:
    """What was had. `max_age_s`: for how long its sender calls it fresh, not over 0 where it is not, None
    where its sender does not say.
    """

    body: bytes
    max_age_s: float | None = None


async def download(client: httpx.AsyncClient, url: str) -> KeyDocument:
    """The document at an http(s) address: status 200 only, no redirect, at most 512 KiB, not compressed,
    so that what is read is what is kept. Raises ValueError or httpx.HTTPError.
    """
    # no-cache: a key is asked for because it may be newer than what a cache between has kept.
    headers = {"accept": "application/json", "accept-encoding": "identity", "cache-control": "no-cache"}
    async with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ValueError("it is compressed, which was not asked for")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            if len(body) + len(chunk) > MAX_KEY_SET_BYTES:
                raise ValueError(f"more than {MAX_KEY_SET_BYTES} bytes")
            body += chunk
    return KeyDocument(bytes(body), _max_age_s(response.headers))


async def read_file(url: str) -> KeyDocument:
    """The document at a file: address, at most 512 KiB; read in a thread, since a disk may hang. Raises
    ValueError or OSError.
    """
    return KeyDocument(await asyncio.to_thread(_read, Path(url2pathname(urlsplit(url).path))))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(MAX_KEY_SET_BYTES + 1)
    if len(body) > MAX_KEY_SET_BYTES:
        raise ValueError(f"more than {MAX_KEY_SET_BYTES} bytes")
    return body


def _max_age_s(headers: httpx.Headers) -> float | None:
    """`max-age` less the time that caches have had it already (RFC 9111 §4.2). `no-store` and `no-cache` say
    nothing here: keys are always kept, and asked for again in time.
    """
    max_age = _MAX_AGE.search(headers.get("cache-control", ""))
    if max_age is None:
        return None
    age = _AGE.match(headers.get("age", ""))
    return int(max_age[1]) - (int(age[0]) if age else 0)
