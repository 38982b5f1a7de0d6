"""The verifier for threads: the same judgement, and a thread of its own only for fetching."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from todo_auth import CredentialsMissing, InvalidRequest, KeysUnavailable, SyncVerifier, errors
from todo_auth.sync import _LoopThread
from todo_auth.testing import Clock, Issuer


@pytest.fixture
def sync_verifier(issuer: Issuer, clock: Clock) -> Iterator[SyncVerifier]:
    with SyncVerifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        yield verifier


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "todo-auth"]


def test_many_threads_share_one_fetch_and_get_their_own_identities(issuer: Issuer, clock: Clock) -> None:
    tokens = [issuer.token(f"user{number}") for number in range(64)]
    with (
        SyncVerifier(issuer.trusted(now=clock, sleep=clock.sleep), remembered=8, now=clock) as verifier,
        ThreadPoolExecutor(16) as pool,
    ):
        for _ in range(5):
            identities = list(pool.map(verifier.verify, tokens))
            assert [identity.user_id for identity in identities] == [f"user{n}" for n in range(64)]
        assert issuer.fetches == 1


def test_a_known_key_is_used_in_the_calling_thread(issuer: Issuer, sync_verifier: SyncVerifier) -> None:
    sync_verifier.close()
    assert not own_threads()
    assert sync_verifier.verify(issuer.token()).user_id == "ann"
    assert not own_threads()


def test_the_thread_keeps_no_process_from_ending(issuer: Issuer, sync_verifier: SyncVerifier) -> None:
    assert [thread.daemon for thread in own_threads()] == [True]


def test_the_calling_threads_own_event_loop_stays_its_own(issuer: Issuer, clock: Clock) -> None:
    def verify() -> bool:
        own = asyncio.new_event_loop()
        asyncio.set_event_loop(own)
        try:
            with SyncVerifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
                verifier.verify(issuer.token())
            return asyncio.get_event_loop() is own
        finally:
            own.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(verify).result()


def test_claims_are_read_by_the_applications_own_model(issuer: Issuer, clock: Clock) -> None:
    def role(claims: dict[str, object]) -> str:
        return str(claims["role"])

    trusted = issuer.trusted(now=clock, sleep=clock.sleep)
    with SyncVerifier(trusted, claims=role, now=clock) as verifier:
        assert verifier.verify(issuer.token(role="admin")).extra == "admin"
        with pytest.raises(errors.ClaimsInvalid):
            verifier.verify(issuer.token())


def test_keys_that_are_due_are_fetched_in_the_background_while_known_ones_serve(
    issuer: Issuer, clock: Clock, sync_verifier: SyncVerifier
) -> None:
    clock.moment += 299
    issuer.gate = asyncio.Event()
    assert sync_verifier.verify(issuer.token()).user_id == "ann"
    while issuer.fetches == 1:
        threading.Event().wait(0.001)
    assert [keys.state.fetches for keys in sync_verifier.key_sets] == [2]


def test_a_key_that_appears_is_picked_up_and_a_withdrawn_one_is_dropped(
    issuer: Issuer, clock: Clock, sync_verifier: SyncVerifier
) -> None:
    old = issuer.keys[0]
    token = issuer.token("ann", key=old)
    first = sync_verifier.verify(token)
    assert sync_verifier.verify(token) is first
    new = issuer.rotate("ES256")
    issuer.withdraw(old)
    assert sync_verifier.verify(issuer.token("bob", key=new)).user_id == "bob"
    with pytest.raises(errors.KeyUnknown):
        sync_verifier.verify(token)


def test_what_is_refused_is_refused_as_by_the_other_verifier(
    issuer: Issuer, clock: Clock, sync_verifier: SyncVerifier
) -> None:
    with pytest.raises(errors.TokenExpired):
        sync_verifier.verify(issuer.token(exp=int(clock.moment)))
    with pytest.raises(errors.TypeRefused):
        sync_verifier.verify(issuer.token(header={"typ": "logout+jwt"}))
    with pytest.raises(errors.SignatureInvalid):
        sync_verifier.verify(issuer.token()[:-8] + "AAAAAAAA")


def test_an_issuer_that_was_never_reached_is_unavailable(issuer: Issuer, clock: Clock) -> None:
    issuer.down = True
    with SyncVerifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock) as verifier:
        assert not verifier.is_ready
        with pytest.raises(KeysUnavailable):
            verifier.verify(issuer.token())
        issuer.down = False
        clock.moment += 1
        assert verifier.verify(issuer.token()).user_id == "ann"


def test_credentials_come_from_raw_headers_or_a_wsgi_environment(
    issuer: Issuer, sync_verifier: SyncVerifier
) -> None:
    value = f"Bearer {issuer.token()}"
    assert sync_verifier.authenticate([(b"Authorization", value.encode())]).user_id == "ann"
    assert sync_verifier.authenticate_wsgi({"HTTP_AUTHORIZATION": value}).user_id == "ann"
    with pytest.raises(CredentialsMissing):
        sync_verifier.authenticate_wsgi({})
    with pytest.raises(InvalidRequest):
        sync_verifier.authenticate_wsgi({"HTTP_AUTHORIZATION": f"{value},{value}"})
    with pytest.raises(errors.TokenMalformed):
        sync_verifier.authenticate_wsgi({"HTTP_AUTHORIZATION": "Bearer \ud800.é.a"})


def test_closing_tells_those_who_wait_and_ends_the_thread(issuer: Issuer, clock: Clock) -> None:
    issuer.gate = asyncio.Event()
    verifier = SyncVerifier(issuer.trusted(now=clock, sleep=clock.sleep), now=clock)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(verifier.verify, issuer.token())
        while issuer.fetches == 0:
            threading.Event().wait(0.001)
        verifier.close()
        with pytest.raises(KeysUnavailable):
            waiting.result()
    assert not own_threads()
    issuer.gate = None
    clock.moment += 1
    assert verifier.verify(issuer.token()).user_id == "ann", "it begins anew where it is needed"
    verifier.close()
    verifier.close()


def test_whatever_still_waits_in_the_thread_is_told_that_it_ends() -> None:
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def nothing() -> None:
        pass

    background = _LoopThread()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(background.run, wait())
        begun.wait()
        background.stop(nothing)
        with pytest.raises(KeysUnavailable, match="the verifier was closed"):
            waiting.result()
    assert not own_threads()


def test_a_child_process_leaves_its_parents_loop_alone_and_begins_its_own() -> None:
    async def current() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def nothing() -> None:
        pass

    background = _LoopThread()
    parents = background.run(current())
    (thread,) = own_threads()
    # A child is born with the lock as some thread of its parent had it.
    with background._lock:
        background.forget()
    background.forget()
    assert background.run(current()) is not parents
    assert background._inherited == [parents], "once; whoever let go of it would close it"
    assert parents.is_running()
    background.stop(nothing)
    assert own_threads() == [thread]
    parents.call_soon_threadsafe(parents.stop)
    thread.join()


FORKED = """
import os
from todo_auth import SyncVerifier
from todo_auth.testing import Issuer
issuer = Issuer()
verifier = SyncVerifier(issuer.trusted())
verifier.start()
new = issuer.rotate()
child = os.fork()
assert verifier.verify(issuer.token(key=issuer.keys[1])).user_id == "ann"
assert verifier.verify(issuer.token(key=new)).user_id == "ann"
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_worker_keeps_the_keys_and_fetches_with_a_thread_of_its_own() -> None:
    # Python 3.12 and later warn of any fork beside a thread, which is what this is about.
    quietly = ("-W", "ignore:This process:DeprecationWarning")
    ended = subprocess.run(
        [sys.executable, *quietly, "-c", FORKED], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, ""), "and it ends quietly, though nobody closed it"
