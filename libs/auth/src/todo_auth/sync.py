"""The verifier for code without an event loop: Flask, Django, scripts.

Task: T-036 · Spec: plan.md#synchronous-verifier
"""

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Generic, Self, TypeVar

from todo_auth.bearer import bearer_token, wsgi_bearer_token
from todo_auth.errors import KeysUnavailable
from todo_auth.identity import LEEWAY_S, Extra, Identity, RawHeaders
from todo_auth.issuers import TrustedIssuer
from todo_auth.jwks import KeySet
from todo_auth.validation import Validator
from todo_auth.verifier import DEFAULT_MAX_LIFETIME_S

_Result = TypeVar("_Result")


class SyncVerifier(Generic[Extra]):
    """Verifies access tokens as `Verifier` does, with the same parameters, in any number of threads.

    A remembered token and one whose key is known are judged in the calling thread. Only keys are fetched
    elsewhere: by a daemon thread with an event loop of its own, started when it is first needed. A
    process that forks starts a thread of its own in the child, and keeps keys and remembered tokens.

    Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        *issuers: TrustedIssuer,
        max_lifetime_s: float = DEFAULT_MAX_LIFETIME_S,
        leeway_s: float = LEEWAY_S,
        types: Iterable[str] = ("JWT",),
        claims: Callable[[dict[str, object]], Extra] | None = None,
        remembered: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._validator = Validator(
            issuers,
            max_lifetime_s=max_lifetime_s,
            leeway_s=leeway_s,
            types=types,
            claims=claims,
            remembered=remembered,
            now=now,
        )
        self._background = _LoopThread()

    @property
    def is_ready(self) -> bool:
        """Whether tokens of some issuer can be judged now: its keys have been had, and not too long ago."""
        return self._validator.is_ready

    @property
    def key_sets(self) -> list[KeySet]:
        """The issuers' key sets, each once: for their `state` and `export`, and `seed` before `start`. Their
        coroutines are run by the verifier's own thread only.
        """
        return self._validator.key_sets

    def start(self) -> None:
        """Has every key set at hand, so that the first request need not wait. An issuer that does not
        answer is no error here.
        """
        self._background.run(self._start())

    def close(self) -> None:
        """Ends the background thread; who waits for keys gets KeysUnavailable. A later call that needs keys
        starts it again.
        """
        self._background.stop(self._aclose)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def authenticate(self, headers: RawHeaders) -> Identity[Extra]:
        """The identity in raw headers, their names in any case. Raises CredentialsMissing, InvalidRequest, or
        what `verify` raises.
        """
        return self.verify(bearer_token(headers))

    def authenticate_wsgi(self, environ: Mapping[str, object]) -> Identity[Extra]:
        """The identity in a WSGI environment (Flask's `request.environ`, Django's `request.META`). Raises as
        `authenticate` does.
        """
        return self.verify(wsgi_bearer_token(environ))

    def verify(self, token: str) -> Identity[Extra]:
        """The identity in a compact JWS. Raises an InvalidToken by its reason, or KeysUnavailable."""
        identity = self._validator.recall(token)
        if identity is not None:
            return identity
        examined = self._validator.examine(token)
        key, keys = None, examined.keys
        if keys is not None:
            name = examined.unverified.key_id, examined.algorithm
            key = keys.peek(*name)
            if key is None:
                key = self._background.run(keys.find(*name))
            elif keys.is_due:
                self._background.call(keys.refresh_if_due)
        return self._validator.accept(examined, key)

    async def _start(self) -> None:
        await asyncio.gather(*(keys.start() for keys in self.key_sets))

    async def _aclose(self) -> None:
        await asyncio.gather(*(keys.aclose() for keys in self.key_sets))


class _LoopThread:
    """An event loop in a daemon thread, started when something is to be run in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._inherited: list[asyncio.AbstractEventLoop] = []
        _loop_threads.add(self)

    def run(self, work: Coroutine[object, object, _Result]) -> _Result:
        """Waits for a coroutine. Raises what it raises, and KeysUnavailable when the thread is stopped
        first.
        """
        with self._lock:
            future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return future.result()
        except CancelledError:
            raise KeysUnavailable("the verifier was closed") from None
        except BaseException:
            # A signal's exception, too: nobody waits for the rest.
            future.cancel()
            raise

    def call(self, function: Callable[[], None]) -> None:
        """Runs a function in the loop, some time soon."""
        with self._lock:
            self._running().call_soon_threadsafe(function)

    def stop(self, last: Callable[[], Coroutine[object, object, None]]) -> None:
        """Runs one more coroutine, cancels what still waits and ends the thread, if there is one."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            if loop is None or thread is None:
                return
            # Under the lock, so that what others begin afterwards begins in another loop.
            asyncio.run_coroutine_threadsafe(last(), loop).add_done_callback(
                lambda _: loop.call_soon_threadsafe(loop.stop)
            )
        thread.join()

    def forget(self) -> None:
        """What a child process does with its parent's thread, which it does not have."""
        self._lock = threading.Lock()
        if self._loop is not None:
            # Kept and never closed: its epoll belongs to the parent as well, who still waits on it.
            self._inherited.append(self._loop)
        self._loop = self._thread = None

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
            self._loop = runner.get_loop()
            self._thread = threading.Thread(target=_run, args=(runner,), name="todo-auth", daemon=True)
            self._thread.start()
        return self._loop


_loop_threads: "weakref.WeakSet[_LoopThread]" = weakref.WeakSet()


def _run(runner: asyncio.Runner) -> None:
    """Runs until the loop is stopped; what still waits then is cancelled by the runner."""
    with runner:
        runner.get_loop().run_forever()


def _forget_in_child() -> None:
    for thread in _loop_threads:
        thread.forget()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_in_child)
