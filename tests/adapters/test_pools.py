"""Clients shared by a process: who gives back last, who is too many, what a fork does."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

import smtpx
from smtpx.adapters.pools import Pools
from smtpx.adapters.pools import _forget_all as forget_all
from tests.adapters.office import Office

LETTER = b"Subject: hello\r\n\r\nhello\r\n"


def maker(office: Office) -> Callable[[], smtpx.Client]:
    return lambda: smtpx.Client(office.server.url)


def send(client: smtpx.Client) -> None:
    client.send(LETTER, sender="a@example.org", recipients=["b@example.org"])


def test_users_of_a_key_share_a_client(clear: Office) -> None:
    pools = Pools()
    with (
        pools.using("a", maker(clear)) as one,
        pools.using("a", maker(clear)) as same,
        pools.using("b", maker(clear)) as other,
    ):
        assert one is same
        assert one is not other
    with pools.using("a", maker(clear)) as again:
        assert again is one
    pools.close_all()
    assert one.is_closed
    assert other.is_closed


def test_the_last_user_closes(clear: Office) -> None:
    pools = Pools()
    first, second = pools.take("a", maker(clear)), pools.take("a", maker(clear))
    pools.give_back(first, close=True)
    assert not first.client.is_closed
    pools.close("a")  # somebody uses it
    assert not first.client.is_closed
    pools.give_back(second, close=True)
    assert first.client.is_closed
    assert not pools.holds(first)
    pools.give_back(second, close=True)  # once too often
    pools.close("a")  # nothing there


def test_close_takes_what_nobody_uses(clear: Office) -> None:
    pools = Pools()
    pool = pools.take("a", maker(clear))
    pools.give_back(pool)
    assert not pool.client.is_closed
    pools.close("a")
    assert pool.client.is_closed


def test_there_is_a_bound_on_pools_that_nobody_uses(clear: Office) -> None:
    pools = Pools(max_pools=3)
    used = pools.take("used", maker(clear))
    idle = [pools.take(number, maker(clear)) for number in range(2)]
    for pool in idle:
        pools.give_back(pool)
    with pools.using(0, maker(clear)):
        pass  # the youngest now
    pools.take("more", maker(clear))
    assert [pool.client.is_closed for pool in (used, *idle)] == [False, False, True]
    pools.close_all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_leaves_its_parents_connections_alone(clear: Office) -> None:
    program = f"""
import os, smtpx
from smtpx.adapters.pools import Pools

pools = Pools()
make = lambda: smtpx.Client({clear.server.url!r})
letter = dict(sender="a@example.org", recipients=["b@example.org"])
held = pools.take("a", make)
held.client.send({LETTER!r}, **letter)
child = os.fork()
if not child:
    assert not pools.holds(held)
    pools.give_back(held, close=True)  # its parent's: nothing happens
    with pools.using("a", make) as own:
        assert own is not held.client
        own.send({LETTER!r}, **letter)
    pools.close_all()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert pools.holds(held)
held.client.send({LETTER!r}, **letter)
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=50)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(clear.letters) == 3
    assert clear.connections == 2  # the parent's, which went on to be of use, and the child's


def test_a_lock_held_while_forking_does_not_stop_the_child(clear: Office) -> None:
    pools = Pools()
    pools._lock.acquire()
    forget_all()
    with pools.using("a", maker(clear)) as client:
        send(client)
    pools.close_all()


def test_the_end_of_the_process_says_quit(clear: Office) -> None:
    program = f"""
import smtpx
from smtpx.adapters.pools import Pools

pools = Pools()
with pools.using("a", lambda: smtpx.Client({clear.server.url!r}, trace=lambda who, what: print(what))) as client:
    client.send({LETTER!r}, sender="a@example.org", recipients=["b@example.org"])
print("end")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert "QUIT" in run.stdout.partition("end")[2]


def test_threads_get_one_client(clear: Office) -> None:
    pools = Pools()
    seen: list[smtpx.Client] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        with pools.using("a", maker(clear)) as client:
            seen.append(client)
            send(client)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, seen))) == 1
    assert len(clear.letters) == 8
    pools.close_all()
