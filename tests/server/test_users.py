"""Passwords as scrypt records, checked in a time that tells nothing."""

import asyncio
import hashlib
import pickle
import threading

import pytest

from smtpx.sasl import Credentials, ScramRecord
from smtpx.sasl.credentials import Secret
from smtpx.server import users as users_module
from smtpx.server.users import Users

SECRET = "correct horse"


@pytest.fixture(scope="module")
def users() -> Users:
    return Users({"user": SECRET, "m\u00fcller": "p\u00e4ss"})


def login(username: str, password: str | None, authorization_id: str = "") -> Credentials:
    return Credentials("PLAIN", username, authorization_id, None if password is None else Secret(password))


@pytest.mark.parametrize(
    ("credentials", "right"),
    [
        (login("user", SECRET), True),
        (login("user", SECRET, "user"), True),
        (login("m\u00fcller", "p\u00e4ss"), True),
        (login("user", "wrong"), False),
        (login("user", ""), False),
        (login("user", None), False),
        (login("user", "\ud800"), False),
        (login("nobody", SECRET), False),
        (login("", ""), False),
        (login("user", SECRET, "root"), False),
    ],
)
async def test_accepts(users: Users, credentials: Credentials, right: bool) -> None:
    assert await users.accepts(credentials) is right


def test_scram_records(users: Users) -> None:
    record = users.lookup("SCRAM-SHA-256", "user")
    assert isinstance(record, ScramRecord)
    assert record == ScramRecord.make(SECRET, salt=record.salt)
    assert users.lookup("SCRAM-SHA-256", "nobody") is None
    assert users.lookup("SCRAM-SHA-1", "user") is None
    both = Users({"user": SECRET, "smile": "\U0001f600"}, scram=("SCRAM-SHA-256", "SCRAM-SHA-1"))
    assert both.lookup("SCRAM-SHA-1", "user") is not None
    assert both.lookup("SCRAM-SHA-1", "smile") is None  # a character that SASLprep does not know
    assert len(both) == 2


async def test_who_has_proven_to_be_a_user(users: Users) -> None:
    def proven(username: str, authorization_id: str = "") -> Credentials:
        return Credentials("SCRAM-SHA-256", username, authorization_id, is_proven=True)

    assert await users.accepts(proven("user"))
    assert await users.accepts(proven("user", "user"))
    assert not await users.accepts(proven("user", "root"))
    assert not await users.accepts(proven("nobody"))


def test_len(users: Users) -> None:
    assert len(users) == 2
    assert len(Users({})) == 0


def test_no_password_is_kept(users: Users) -> None:
    assert SECRET.encode() not in pickle.dumps(users.__dict__)
    records = users._records
    assert {len(salt) for salt, _ in records.values()} == {16}
    assert len({salt for salt, _ in records.values()}) == 2
    salt, digest = records["user"]
    assert digest == hashlib.scrypt(SECRET.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32)


@pytest.mark.parametrize("name", ["user", "nobody"])
async def test_h087_known_and_unknown_names_cost_one_hash_each(
    users: Users, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[tuple[str, int]] = []
    real = users_module._hash

    def count(password: str, salt: bytes) -> bytes:
        hashed.append((password, len(salt)))
        assert threading.current_thread() is not threading.main_thread()
        return real(password, salt)

    monkeypatch.setattr(users_module, "_hash", count)
    assert not await users.accepts(login(name, "wrong"))
    assert hashed == [("wrong", 16)]


async def test_no_more_than_four_hashes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, counts = threading.Lock(), {"now": 0, "most": 0}
    gone_on = threading.Event()

    def slow(record: object, password: str) -> bool:
        with lock:
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
        gone_on.wait(0.01)
        with lock:
            counts["now"] -= 1
        return True

    monkeypatch.setattr(users_module, "_is_right", slow)
    users = Users({"user": SECRET})
    assert all(await asyncio.gather(*(users.accepts(login("user", SECRET)) for _ in range(20))))
    assert 1 <= counts["most"] <= 4


async def test_tokens() -> None:
    users = Users({"other": SECRET}, tokens={"user": "t0ken"})

    def token(username: str, text: str, authorization_id: str = "") -> Credentials:
        return Credentials("XOAUTH2", username, authorization_id, token=Secret(text))

    assert await users.accepts(token("user", "t0ken"))
    assert not await users.accepts(token("user", "wrong"))
    assert not await users.accepts(token("other", "t0ken"))
    assert not await users.accepts(token("user", "t0ken", "root"))
    assert not await users.accepts(login("user", "t0ken"))


async def test_certificates() -> None:
    def external(authorization_id: str = "", *, is_proven: bool = True) -> Credentials:
        return Credentials("EXTERNAL", "me@x.example", authorization_id, is_proven=is_proven)

    users = Users({}, certificates=True)
    assert await users.accepts(external())
    assert await users.accepts(external("me@x.example"))
    assert not await users.accepts(external("you@x.example"))
    assert not await users.accepts(external(is_proven=False))
    assert not await Users({"me@x.example": SECRET}).accepts(external())


def test_cram_md5_wants_the_password(users: Users) -> None:
    assert users.lookup("CRAM-MD5", "user") is None
    kept = Users({"user": SECRET}, cram_md5=True)
    assert kept.lookup("CRAM-MD5", "user") == Secret(SECRET)
    assert kept.lookup("CRAM-MD5", "nobody") is None
