"""What a transaction is made of, and that nothing of it is left to the next."""

from smtpx.protocol.transaction import Transaction
from smtpx.wire.params import NO_PARAMS
from tests.protocol.server_peer import EHLO, ENVELOPE, RCPT, ServerPeer


def test_a_new_one_is_empty_and_shares_nothing() -> None:
    first, second = Transaction(), Transaction()
    assert (first.sender, first.mail_params, first.intake, first.verdicts_sent) == (None, NO_PARAMS, None, None)
    assert first == second
    assert first.recipients is not second.recipients
    assert first.rcpt_params is not second.rcpt_params


def test_the_next_one_knows_nothing_of_the_last() -> None:
    peer = ServerPeer().connect()
    peer.send(EHLO + ENVELOPE + RCPT + "RCPT TO:<>\r\n")
    old = peer.protocol.transaction
    assert (len(old.recipients), len(old.rcpt_params), old.refused_recipients) == (2, 2, 1)
    peer.send("RSET\r\n")
    assert peer.protocol.transaction == Transaction()
    assert len(old.recipients) == 2
