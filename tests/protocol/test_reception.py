"""DATA and BDAT as a server reads them, to the verdicts."""

import pytest

from smtpx.extensions import Chunking
from smtpx.extensions.body_types import EightBitMIME
from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import (
    AbortCause,
    BodyAborted,
    BodyEnded,
    ChunkEnded,
    LimitHit,
    PauseAsked,
    ResetAsked,
)
from smtpx.protocol.phases import Phase
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param
from tests.protocol.server_peer import (
    EHLO,
    ENVELOPE,
    EOF,
    LMTP_SETTINGS,
    MAIL,
    MECHANISMS,
    RCPT,
    AtServer,
    Policy,
    ServerPeer,
    answering,
    ends,
    feed,
    greeted,
    make_settings,
    play,
    survives,
)

NO = replies.make(550, "5.7.1", "no")


def test_envelope_is_there_while_the_verdict_is_asked_and_gone_behind_it() -> None:
    protocol = greeted()
    peer = ServerPeer(policy=Policy())
    peer.protocol = protocol
    peer.play([EHLO, ENVELOPE + "DATA\r\n"])
    feed(protocol, ".\r\n")
    assert protocol.in_message
    assert protocol.next_event() == BodyEnded(0)
    assert (protocol.sender, protocol.recipients) == (Mailbox("a", "client.example"), [Mailbox("b", "server.example")])
    protocol.answer()
    assert (protocol.sender, protocol.recipients, protocol.in_message) == (None, [], False)
    assert protocol.messages == 1
    assert protocol.phase is Phase.READY


def test_binary_content_where_an_extension_brings_it() -> None:
    class Binary(EightBitMIME):
        mail_params = (Param("BODY", lambda value: value or "", str),)

    settings = make_settings(extensions=[Chunking(), Binary()])
    outcome = survives(EHLO, "MAIL FROM:<a@b> BODY=BINARYMIME\r\n", RCPT, "BDAT 3 LAST\r\na\nb", settings=settings)
    assert outcome.contents == [b"a\nb"]


def test_h020_verdict_stands_when_the_peer_is_gone() -> None:
    outcome = play(EHLO, ENVELOPE + "DATA\r\n", ".\r\n", EOF)
    assert outcome.codes[-1] == "250 2.0.0"
    assert outcome.of(BodyAborted) == []


def test_a_delayed_verdict_comes_before_the_reset() -> None:
    settings = make_settings(limits={"soft_error_limit": 0})
    outcome = survives(EHLO, "XYZZY\r\n", ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n", settings=settings)
    assert outcome.codes[-1] == "550 5.5.2"
    kinds = [type(event) for event in outcome.events]
    assert kinds[kinds.index(BodyAborted) :][:3] == [BodyAborted, PauseAsked, ResetAsked]


def test_a_verdict_that_is_one_error_too_many() -> None:
    settings = make_settings(limits={"hard_error_limit": 1})
    outcome = ends(EHLO, ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n", settings=settings)
    assert outcome.codes[-1] == "421 4.7.0"
    assert outcome.of(ResetAsked) == []


def test_small_chunks_are_junk_in_the_end() -> None:
    settings = make_settings(limits={"small_chunk_limit": 2, "junk_command_limit": 2, "hard_error_limit": 1})
    outcome = ends(EHLO, ENVELOPE, "BDAT 1\r\nx" * 9, settings=settings)
    assert outcome.codes[3:] == ["250 2.0.0"] * 3 + ["421 4.7.0"]
    assert outcome.of(BodyAborted)[-1].cause is AbortCause.CLOSED


def test_a_chunk_that_fails_ends_the_transaction() -> None:
    outcome = survives(EHLO, ENVELOPE, "BDAT 1\r\nxBDAT 1\r\nx", RCPT, policy=answering(ChunkEnded, NO))
    assert outcome.codes[3:] == ["550 5.7.1", "503 5.5.1", "503 5.5.1"]
    assert outcome.of(BodyAborted) == [BodyAborted(AbortCause.REFUSED, 1)]
    assert outcome.of(ResetAsked) == [ResetAsked("BDAT")]


def test_chunks_of_nothing_and_chunks_not_on_offer() -> None:
    assert survives(EHLO, ENVELOPE, "BDAT 0\r\nBDAT 0 LAST\r\n").contents == [b""]
    settings = make_settings(extensions=())
    assert survives(EHLO, ENVELOPE, "BDAT 6 LAST\r\nNOOP\r\n", settings=settings).codes[3:] == ["502 5.5.1"]


def test_a_malformed_bdat_fails_the_transaction_wherever_it_stands() -> None:
    outcome = survives(EHLO, "BDAT 1 X\r\nx", MAIL, "BDAT 1 X\r\nx", RCPT)
    assert outcome.codes[1:] == ["501 5.5.4", "250 2.1.0", "501 5.5.4", "503 5.5.1"]


def test_bdat_needs_what_others_need() -> None:
    settings = make_settings(mechanisms=MECHANISMS, require_auth=True)
    assert survives("BDAT 1\r\nx", EHLO, "BDAT 1 LAST\r\nx", settings=settings).codes == [
        "503 5.5.1",
        "250",
        "530 5.7.0",
    ]


def test_repaired_content_of_the_last_chunk_is_complete() -> None:
    outcome = survives(EHLO, ENVELOPE, "BDAT 2 LAST\r\nx\r", settings=make_settings(bare_newline="normalize"))
    assert outcome.contents == [b"x "]


def test_a_refused_chunk_is_far_too_large() -> None:
    settings = make_settings(limits={"max_message_bytes": 10})
    assert ends(EHLO, "BDAT 1048587\r\n", settings=settings).codes == ["250", "552 5.3.4"]
    settings = make_settings(limits={"max_message_bytes": None, "max_header_bytes": 1 << 22})
    outcome = survives(
        EHLO, ENVELOPE, b"BDAT 2000000 LAST\r\n" + b"x" * 2_000_000, settings=settings, cuts=(None, 9999)
    )
    assert outcome.codes[-1] == "250 2.0.0"


def test_rfc2033_4_2_failed_last_chunk_is_answered_for_each() -> None:
    settings = make_settings(dialect=LMTP, limits={"max_message_bytes": 10})
    outcome = survives(
        "LHLO x\r\n", ENVELOPE + RCPT, "BDAT 11 LAST\r\n12345678901", "BDAT 11\r\n12345678901", settings=settings
    )
    assert outcome.codes[4:] == ["552 5.3.4", "552 5.3.4", "503 5.5.1"]


def test_rfc2033_4_2_failed_chunk_is_answered_once() -> None:
    settings = make_settings(dialect=LMTP, limits={"max_message_bytes": 10})
    outcome = survives("LHLO x\r\n", ENVELOPE + RCPT, "BDAT 11\r\n12345678901", settings=settings)
    assert outcome.codes[4:] == ["552 5.3.4"]


def test_verdicts_name_their_recipients() -> None:
    verdicts = (None, replies.make(550, "5.1.1", "no", "really"))
    to_c = "RCPT TO:<c@server.example>\r\n"
    outcome = survives("LHLO x\r\n", ENVELOPE + to_c + "DATA\r\n", ".\r\n",
                       settings=LMTP_SETTINGS, policy=answering(BodyEnded, verdicts))  # fmt: skip
    assert outcome.replies[-2].lines == ("<b@server.example> message accepted",)
    assert outcome.replies[-1].lines == ("<c@server.example> no", "really")
    assert outcome.messages[0].recipients == ("b@server.example",)


def test_verdicts_that_are_missing_or_too_many() -> None:
    def codes(count: int) -> list[str]:
        script = ("LHLO x\r\n", ENVELOPE + RCPT * 2 + "DATA\r\n", ".\r\n")
        return play(*script, settings=LMTP_SETTINGS, policy=answering(BodyEnded, (None,) * count)).codes[6:]

    assert codes(0) == codes(1) == codes(3) == codes(4) == ["250 2.0.0"] * 3
    assert codes(2) == ["250 2.0.0", "250 2.0.0", "451 4.3.0"]


def test_rfc2033_4_2_verdicts_may_leave_one_by_one() -> None:
    peer = ServerPeer(LMTP_SETTINGS).connect()
    protocol = peer.protocol
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    peer.send("LHLO x\r\n" + ENVELOPE + RCPT + "DATA\r\n")
    peer.collect()
    protocol.receive_data(b"x\r\n.\r\nNOOP\r\n")
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    while not isinstance(protocol.next_event(), BodyEnded):
        pass
    protocol.answer_next(replies.OK)
    assert protocol.data_to_send() == b"250 2.0.0 <b@server.example> OK\r\n"
    protocol.answer_next(replies.STORAGE_FULL)
    assert protocol.data_to_send().startswith(b"452 4.3.1 <b@server.example> ")
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    protocol.answer(replies.OK, replies.STORAGE_FULL)
    assert protocol.data_to_send() == b""
    assert protocol.messages == 1
    assert peer.send("NOOP\r\n") == ["250 2.0.0", "250 2.0.0"]


def test_in_smtp_no_verdict_leaves_by_itself() -> None:
    peer = ServerPeer().connect()
    peer.send(EHLO + ENVELOPE + "DATA\r\n")
    peer.protocol.receive_data(b".\r\n")
    while not isinstance(peer.protocol.next_event(), BodyEnded):
        pass
    with pytest.raises(RuntimeError, match="no verdict is due"):
        peer.protocol.answer_next(replies.OK)


def test_a_421_verdict_closes() -> None:
    outcome = ends("LHLO x\r\n", ENVELOPE + "DATA\r\n", ".\r\n",
                   settings=LMTP_SETTINGS, policy=answering(BodyEnded, replies.SHUTTING_DOWN))  # fmt: skip
    assert outcome.codes[-1] == "421 4.3.2"


def test_refused_content_tells_its_limit_and_its_size() -> None:
    peer = ServerPeer(make_settings(limits={"max_hops": 0})).connect()
    peer.protocol.watcher = watcher = AtServer()
    peer.send(EHLO + ENVELOPE + "DATA\r\n")
    peer.send("Received: x\r\n.\r\n")
    assert watcher.told[-2:] == [("content", 13), ("said", 554)]
    assert peer.outcome.of(LimitHit) == [LimitHit("max_hops", 0)]
