"""Each target finds nothing in its seeds and in what comes near them, and finds something where something is broken."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import targets
from fuzz.mutations import mutated
from fuzz.source import Source, cut

Breaks = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("name", targets.NAMES)
def test_seeds(name: str) -> None:
    target = targets.load(name)
    assert len(target.seeds) >= 5
    for path in target.seeds:
        assert path.stat().st_size <= 2048
        target.run(path.read_bytes())


@pytest.mark.parametrize("name", targets.NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dice=st.randoms(use_true_random=False), noise=st.binary(max_size=60))
def test_what_comes_near_the_seeds(name: str, dice: random.Random, noise: bytes) -> None:
    target = targets.load(name)
    seeds = [path.read_bytes() for path in target.seeds]
    target.run(noise)
    target.run(mutated(seeds, target.tokens, dice))


def _returns(path: str, change: Callable[[Any], Any]) -> Breaks:
    """Breaks what a function gives."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        module, _, name = path.rpartition(":")
        owner: Any = __import__(module, fromlist=["_"])
        *middle, last = name.split(".")
        for each in middle:
            owner = getattr(owner, each)
        original = getattr(owner, last)
        monkeypatch.setattr(owner, last, lambda *args, **options: change(original(*args, **options)))

    return apply


def _set(path: str, value: object) -> Breaks:
    """Puts something else in a place."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        module, _, name = path.rpartition(":")
        monkeypatch.setattr(f"{module}.{name}", value)

    return apply


def _forgetting_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was under way when a connection was lost may go again."""
    from smtpx.flows.flight import _Parcel

    monkeypatch.setattr(_Parcel, "committed", property(lambda _: False, lambda *_: None), raising=False)


def _without_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that failed stays open for the message behind it."""
    from smtpx.flows.flight import _Parcel

    envelope = _Parcel.envelope
    monkeypatch.setattr(_Parcel, "envelope", lambda self, *, with_reset: envelope(self, with_reset=False))


def _careless_xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def _early_end(octets: bytes) -> int:
    return 0


class _Believing:
    """Takes any signature for the right one."""

    @staticmethod
    def compare_digest(*_: object) -> bool:
        return True

    @staticmethod
    def digest(key: bytes, data: bytes, _: str) -> bytes:
        return bytes(32)


BROKEN: dict[str, tuple[Breaks, ...]] = {
    "address_lists": (
        _returns("fuzz.targets.address_lists:sift_addresses", lambda found: found._replace(addresses=found[0][:1])),
        _set("smtpx.message.address:_ESCAPED", __import__("re").compile("(x)")),
    ),
    "addresses": (
        _set("smtpx.wire.address:MAX_PATH_BYTES", 400),
        _returns("fuzz.targets.addresses:parse_path", lambda found: (found[0], found[1].strip())),
    ),
    "client": (
        _set("smtpx.flows.outcome:Tally.refuse_all", lambda *_: None),
        _set("smtpx.flows.session:_is_verified", lambda _: True),
        _set("smtpx.protocol.client:ClientProtocol._check_class", lambda *_: None),
        _forgetting_what_was_sent,
    ),
    "client_hello": (_returns("fuzz.targets.client_hello:AlpnWatch.allows", lambda allows: not allows),),
    "commands": (
        _set("smtpx.wire.commands:has_controls", lambda _: False),
        _returns(
            "fuzz.targets.commands:parse_bdat", lambda found: (found[0]._replace(last=not found[0].last), found[1])
        ),
    ),
    "content": (_set("smtpx.protocol.body:NewlineCheck.feed", lambda *_: None),),
    "dkim": (
        _returns("smtpx.dkim.crypto:verify", lambda _: True),
        _returns("smtpx.dkim.canonical:_squeezed", bytes.strip),
        _set("smtpx.dkim.canonical:_line_ends", lambda tail: len(tail) // 2),
        _set("smtpx.dkim.verifier:Verifier._policy", lambda *_: ""),
    ),
    "dots": (
        _set("smtpx.wire.dots:_end_of_data_prefix", _early_end),
        _set("smtpx.wire.dots:END_OF_DATA", b"\n.\r\n"),
        _returns("fuzz.targets.dots:NewlineRepair.end", lambda rest: rest + b"\n"),
    ),
    "eml": (
        _set("smtpx.message.eml:_HIDDEN", frozenset({"resent-bcc"})),
        _set("smtpx.message.eml:_LOST_BCC", __import__("re").compile(rb"(?!)")),
        _set("smtpx.message.eml:_BARE_CR", __import__("re").compile(rb"(?!)")),
        _set("smtpx.message.header_block:without_controls", lambda text: text),
    ),
    "header_fields": (
        _set("smtpx.message.fields:has_controls", lambda _: False),
        _set("smtpx.message.parameters:cut_escaped", lambda encoded, start, room, mark: start + room),
        _set("smtpx.message.fields:_ASCII_ONLY", (__import__("re").compile("[^\t -~]"),) * 2),
        _set("smtpx.message.parameters:_MISREAD", __import__("re").compile("(?!)")),
        _set("smtpx.message.encoded_words:cut_escaped", lambda encoded, start, room, mark: start + room),
    ),
    "lines": (_set("smtpx.wire.lines:Lines._wait", lambda *_: None),),
    "offers": (_returns("fuzz.targets.offers:plan_for", lambda plan: plan._replace(lines=plan.lines[:-1])),),
    "pair": (
        _set("smtpx.flows.outcome:Tally.refuse_all", lambda *_: None),
        _returns("smtpx.flows.content:Pieces._cut", lambda piece: piece and piece[:-1]),
        _returns("smtpx.wire.dots:DotEncoder.end", lambda _: b"\r\n.\r\n"),
        _without_resets,
    ),
    "params": (
        _set("smtpx.wire.params:_XCHAR_OUT", __import__("re").compile(rb"[^!-<>-~]")),
        _returns("fuzz.targets.params:write_date_time", lambda _: "2000-01-01T00:00:00Z"),
    ),
    "proxy_header": (
        _set("smtpx.server.proxy_header:_crc32c", lambda _: 0),
        _returns("fuzz.targets.proxy_header:ProxyParser.feed", lambda found: found and (found[0], found[1][1:])),
    ),
    "replies": (
        _returns("fuzz.targets.replies:ReplyParser._finish", lambda reply: type(reply)(reply.code, None, ("a\rb",))),
        _set("smtpx.wire.reply:MAX_REPLY_LINE_BYTES", 40_000),
    ),
    "sasl": (_set("smtpx.sasl.scram:hmac", _Believing), _set("smtpx.sasl.scram:_xor", _careless_xor)),
    "sasl_messages": (_set("smtpx.sasl.scram_messages:unescape_name", lambda text: text),),
    "server": (
        _set("smtpx.wire.dots:END_OF_DATA", b"\n.\r\n"),
        _set("smtpx.protocol.body:NewlineCheck.feed", lambda *_: None),
        _set("smtpx.protocol.server:ServerProtocol.count_junk", lambda _: False),
        _set("smtpx.protocol.reception:Reception._fail_chunk", lambda self, reply: self._machine.reply(reply)),
    ),
    "urls": (
        _set("smtpx.client.settings:_HOST", __import__("re").compile(".*")),
        _set("smtpx.client.settings:_ZONE", __import__("re").compile("(?s:.*)")),
    ),
}


def test_each_target_has_something_to_break() -> None:
    assert tuple(sorted(BROKEN)) == targets.NAMES


def _finds(target: targets.Target, data: bytes) -> bool:
    try:
        target.run(data)
    except Exception:  # a finding is any of them
        return True
    return False


@pytest.mark.parametrize(("name", "breaks"), [(name, each) for name, many in BROKEN.items() for each in many])
def test_what_is_broken_is_found(name: str, breaks: Breaks, monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets.load(name)
    seeds = [path.read_bytes() for path in target.seeds]
    dice = random.Random(1)
    tries = [*seeds, *(mutated(seeds, target.tokens, dice) for _ in range(300))]
    breaks(monkeypatch)
    assert any(_finds(target, data) for data in tries)


def test_source_gives_numbers_from_the_end_and_octets_from_the_beginning() -> None:
    source = Source(b"abc\x05\x07")
    assert source.pick(4) == 3
    assert source.choose("uvwxyz") == "z"
    assert source.octet() == ord("a")
    assert source.rest() == b"bc"
    assert (source.pick(9), source.octet(), source.take(5), source.rest()) == (0, 0, b"", b"")


@pytest.mark.parametrize("seed", [0, 1, 2, 77])
def test_cuts_lose_nothing(seed: int) -> None:
    data = bytes(range(256)) * 4
    pieces = cut(data, seed)
    assert b"".join(pieces) == data
    assert len(pieces) == {0: 1, 1: len(data)}.get(seed, len(pieces))
    assert cut(data, seed) == pieces
