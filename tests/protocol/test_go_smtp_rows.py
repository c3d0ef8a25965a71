"""What other servers are asked for row by row: replies R, server cases S, later cases X, F and B, and defects D.

Rows that need a socket, a clock or a handler's own code are tested where those are. Each test has its row's number.
"""

from typing import NamedTuple

import pytest

from smtpx.extensions import SMTPUTF8
from smtpx.extensions.auth import AUTH
from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import (
    AbortCause,
    AuthAsked,
    BodyAborted,
    BodyEnded,
    ChunkEnded,
    ConnectionEnded,
    HelloAsked,
    MailAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
)
from smtpx.protocol.extension import Extension
from smtpx.protocol.server import ServerProtocol
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import ServerMechanism
from smtpx.sasl.plain import PlainServer
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    BAD_AUTH,
    EHLO,
    ENVELOPE,
    EOF,
    EXPIRE,
    EXTENSIONS,
    GOOD_AUTH,
    HANDSHAKE,
    LMTP_SETTINGS,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
    TLS_FACTS,
    ServerPeer,
    Turn,
    answering,
    ends,
    make_settings,
    play,
    survives,
)

PLAIN = make_settings()
NO_UTF8 = make_settings(extensions=[each for each in EXTENSIONS if not isinstance(each, SMTPUTF8)])
WITH_AUTH = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True)
TLS_FIRST = make_settings(mechanisms=MECHANISMS, starttls=True, require_tls=True)
MUST_AUTH = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True, require_auth=True)
TLS_TOO = make_settings(mechanisms=MECHANISMS, starttls=True)
STRICT = make_settings(syntax="strict")
LENIENT = make_settings(syntax="lenient")
NORMALIZE = make_settings(bare_newline="normalize")
SMALL = make_settings(limits={"max_message_bytes": 50})
NO_LIMIT = make_settings(limits={"max_message_bytes": None})
SPEAKS_FIRST = make_settings(mechanisms=(ServerMechanism("QUIZ", False, False, PlainServer),))
LHLO = "LHLO client.example\r\n"
DATA = "DATA\r\n"
TO_C = "RCPT TO:<c@server.example>\r\n"


class Row(NamedTuple):
    """A script that the connection survives, and the codes it gives, separated by commas."""

    name: str
    settings: ServerSettings
    script: tuple[str | bytes | Turn, ...]
    codes: str


def _after_ehlo(name: str, settings: ServerSettings, text: str, codes: str) -> Row:
    return Row(name, settings, (EHLO, text), f"250,{codes}")


ROWS = [
    Row("R03 HELO", PLAIN, ("HELO x\r\n",), "250"),
    Row("R04 EHLO", PLAIN, (EHLO,), "250"),
    Row("R05 no name", PLAIN, ("EHLO\r\n", "HELO \r\n", "EHLO  \r\n"), "501 5.5.4,501 5.5.4,501 5.5.4"),
    Row("R05 no name in LMTP", LMTP_SETTINGS, ("LHLO\r\n",), "501 5.5.4"),
    Row("R06 LHLO to SMTP", PLAIN, (LHLO,), "500 5.5.1"),
    Row("R06 EHLO and HELO to LMTP", LMTP_SETTINGS, (EHLO, "HELO x\r\n"), "500 5.5.1,500 5.5.1"),
    Row("R07 more words", PLAIN, ("EHLO x and more\r\n", "HELO x y\r\n"), "250,250"),
    Row("R08 second EHLO", WITH_AUTH, (EHLO, GOOD_AUTH, MAIL, EHLO, RCPT), "250,235 2.7.0,250 2.1.0,250,503 5.5.1"),
    Row(
        "R10 before EHLO",
        WITH_AUTH,
        (MAIL, RCPT, DATA, "BDAT 6 LAST\r\nNOOP\r\n", GOOD_AUTH),
        ",".join(["503 5.5.1"] * 5),
    ),
    Row(
        "R11 before EHLO",
        PLAIN,
        (NOOP, "RSET\r\n", "VRFY x\r\n", "HELP\r\n"),
        "250 2.0.0,250 2.0.0,252 2.5.0,214 2.0.0",
    ),
    Row("R20 empty line", PLAIN, ("\r\n",), "500 5.5.2"),
    Row("R21 unknown verb", PLAIN, ("ABCD\r\n",), "500 5.5.2"),
    Row(
        "R22 verbs of any length", PLAIN, ("A\r\nABC\r\nABCDE\r\nXFORWARD\r\nMAILX x\r\n",), ",".join(["500 5.5.2"] * 5)
    ),
    Row("R22 no verb", PLAIN, ("MAILFROM:<a@b.example>\r\n1234\r\nM@IL x\r\n",), ",".join(["500 5.5.2"] * 3)),
    Row("R24 long line", PLAIN, ("NOOP " + "x" * 3000 + "\r\n",), "500 5.5.2"),
    Row("R25 bare LF normalized", NORMALIZE, ("NOOP\nNOOP\r\n",), "250 2.0.0,250 2.0.0"),
    Row("R26 control character", PLAIN, ("NO\0OP\r\nNOOP \x1b\r\nNOOP\t\r\n",), ",".join(["500 5.5.2"] * 3)),
    Row(
        "R27 any case",
        PLAIN,
        ("ehlo x\r\nMaIl fRoM:<a@b.example> sIzE=1\r\nrcpt to:<a@b.example>\r\n",),
        "250,250 2.1.0,250 2.1.5",
    ),
    Row("R29 NOOP with argument", PLAIN, ("NOOP hello\r\n", "NOOP  hello \r\n"), "250 2.0.0,250 2.0.0"),
    Row("R30 RSET QUIT", PLAIN, ("RSET x\r\n", "QUIT x\r\n"), "501 5.5.4,501 5.5.4"),
    Row(
        "R30 DATA",
        PLAIN,
        (EHLO, ENVELOPE, "DATA x\r\n", "STARTTLS x\r\n"),
        "250,250 2.1.0,250 2.1.5,501 5.5.4,501 5.5.4",
    ),
    Row("R30 trailing space", PLAIN, ("RSET \r\n",), "250 2.0.0"),
    Row("R31 old verbs", PLAIN, ("SEND x\r\nSOML x\r\nSAML x\r\nTURN\r\nEXPN x\r\n",), ",".join(["502 5.5.1"] * 5)),
    Row("R32 HELP", PLAIN, ("HELP\r\n", "HELP MAIL\r\n"), "214 2.0.0,214 2.0.0"),
    Row("R33 VRFY", PLAIN, ("VRFY x\r\n", "VRFY\r\n"), "252 2.5.0,501 5.5.4"),
    Row(
        "R34 RSET",
        WITH_AUTH,
        (EHLO, GOOD_AUTH, MAIL, "RSET\r\n", MAIL, "RSET\r\n", GOOD_AUTH),
        "250,235 2.7.0,250 2.1.0,250 2.0.0,250 2.1.0,250 2.0.0,503 5.5.1",
    ),
    _after_ehlo("R40 accepted", PLAIN, MAIL, "250 2.1.0"),
    _after_ehlo("R41 no FROM", PLAIN, "MAIL\r\nMAIL FROM\r\nMAIL FROM:\r\nMAIL x\r\n", ",".join(["501 5.5.4"] * 4)),
    _after_ehlo(
        "R42 bad path",
        PLAIN,
        "MAIL FROM:<word>\r\nMAIL FROM:<a@>\r\nMAIL FROM:<<a@b.example>>\r\n",
        ",".join(["501 5.1.7"] * 3),
    ),
    _after_ehlo("R43 space", PLAIN, "MAIL FROM: <a@b.example>\r\n", "250 2.1.0"),
    _after_ehlo("R43 space, strict", STRICT, "MAIL FROM: <a@b.example>\r\n", "501 5.5.4"),
    _after_ehlo("R43 no brackets", PLAIN, "MAIL FROM:a@b.example\r\n", "501 5.5.4"),
    _after_ehlo("R43 no brackets, lenient", LENIENT, "MAIL FROM:a@b.example SIZE=1\r\n", "250 2.1.0"),
    _after_ehlo("R44 route", PLAIN, "MAIL FROM:<@h1.example,@h2.example:a@b.example>\r\n", "250 2.1.0"),
    _after_ehlo("R44 bad route", PLAIN, "MAIL FROM:<@h1..example:a@b.example>\r\n", "501 5.1.7"),
    _after_ehlo("R45 second MAIL", PLAIN, MAIL + MAIL, "250 2.1.0,503 5.5.1"),
    _after_ehlo(
        "R46 MAIL among chunks", PLAIN, ENVELOPE + "BDAT 1\r\nx" + MAIL, "250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1"
    ),
    _after_ehlo(
        "R47 no parameters",
        PLAIN,
        "MAIL FROM:<a@b.example> a=b=c\r\nMAIL FROM:<a@b.example> =1\r\n",
        "501 5.5.4,501 5.5.4",
    ),
    _after_ehlo("R48 unknown parameter", PLAIN, "MAIL FROM:<a@b.example> X=1\r\n", "555 5.5.4"),
    _after_ehlo("R49 not offered", NO_UTF8, "MAIL FROM:<a@b.example> SMTPUTF8\r\n", "555 5.5.4"),
    _after_ehlo("R50 repeated", PLAIN, "MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n", "501 5.5.4"),
    _after_ehlo(
        "R51 SIZE",
        SMALL,
        "MAIL FROM:<a@b.example> SIZE=x\r\nMAIL FROM:<a@b.example> SIZE=51\r\n",
        "501 5.5.4,552 5.3.4",
    ),
    _after_ehlo("R52 large SIZE", NO_LIMIT, "MAIL FROM:<a@b.example> SIZE=5000000000\r\n", "250 2.1.0"),
    _after_ehlo("R53 BODY", PLAIN, "MAIL FROM:<a@b.example> BODY=X\r\n", "501 5.5.4"),
    _after_ehlo("R54 AUTH=", PLAIN, "MAIL FROM:<a@b.example> AUTH=<a+A>\r\n", "501 5.5.4"),
    _after_ehlo("R57 not ASCII", PLAIN, "MAIL FROM:<\u00fc@b.example>\r\n", "553 5.6.7"),
    _after_ehlo("R60 AUTH required", MUST_AUTH, MAIL + RCPT + "BDAT 6\r\nNOOP\r\n", "530 5.7.0,530 5.7.0,530 5.7.0"),
    _after_ehlo("R61 TLS required", TLS_FIRST, MAIL, "530 5.7.0"),
    _after_ehlo("R63 too long", PLAIN, f"MAIL FROM:<{'a' * 65}@b.example>\r\n", "501 5.1.7"),
    _after_ehlo("R70 accepted", PLAIN, ENVELOPE, "250 2.1.0,250 2.1.5"),
    _after_ehlo("R71 before MAIL", PLAIN, RCPT, "503 5.5.1"),
    _after_ehlo("R72 among chunks", PLAIN, ENVELOPE + "BDAT 1\r\nx" + RCPT, "250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1"),
    _after_ehlo(
        "R73 no TO",
        PLAIN,
        MAIL + "RCPT\r\nRCPT TO:\r\nRCPT TO:<x>\r\nRCPT TO:<>\r\n",
        "250 2.1.0,501 5.5.4,501 5.5.4,501 5.1.3,501 5.1.3",
    ),
    _after_ehlo(
        "R74 postmaster",
        PLAIN,
        MAIL + "RCPT TO:<Postmaster>\r\nRCPT TO:<POSTMASTER>\r\n",
        "250 2.1.0,250 2.1.5,250 2.1.5",
    ),
    _after_ehlo("R76 twice", PLAIN, ENVELOPE + RCPT, "250 2.1.0,250 2.1.5,250 2.1.5"),
    _after_ehlo(
        "R77 parameters",
        PLAIN,
        MAIL + "RCPT TO:<b@c.example> X=1\r\nRCPT TO:<b@c.example> =\r\nRCPT TO:<b@c.example> NOTIFY=NEVER\r\n",
        "250 2.1.0,555 5.5.4,501 5.5.4,555 5.5.4",
    ),
    _after_ehlo("R78 BY", PLAIN, MAIL + "RCPT TO:<b@c.example> BY=1;R\r\n", "250 2.1.0,555 5.5.4"),
    _after_ehlo("R80 not ASCII", PLAIN, MAIL + "RCPT TO:<\u00fc@b.example>\r\n", "250 2.1.0,553 5.6.7"),
    Row("R90 no recipient", PLAIN, (EHLO, MAIL + DATA), "250,250 2.1.0,503 5.5.1"),
    Row("R91 with argument", PLAIN, (EHLO, ENVELOPE + "DATA x\r\n"), "250,250 2.1.0,250 2.1.5,501 5.5.4"),
    Row(
        "R93 behind a chunk",
        PLAIN,
        (EHLO, ENVELOPE + "BDAT 1\r\nx" + DATA),
        "250,250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1",
    ),
    Row("R94 R95 taken", PLAIN, (EHLO, ENVELOPE + DATA, ".\r\n"), "250,250 2.1.0,250 2.1.5,354,250 2.0.0"),
    Row(
        "R96 too long", SMALL, (EHLO, ENVELOPE + DATA, "x" * 49 + "\r\n.\r\n"), "250,250 2.1.0,250 2.1.5,354,552 5.3.4"
    ),
    Row(
        "R96 just the limit",
        SMALL,
        (EHLO, ENVELOPE + DATA, "x" * 48 + "\r\n.\r\n"),
        "250,250 2.1.0,250 2.1.5,354,250 2.0.0",
    ),
    Row("R99 bare LF", PLAIN, (EHLO, ENVELOPE + DATA, "x\ny\r\n.\r\n"), "250,250 2.1.0,250 2.1.5,354,550 5.5.2"),
    Row(
        "R99 bare LF repaired",
        NORMALIZE,
        (EHLO, ENVELOPE + DATA, "x\ny\r\n.\r\n"),
        "250,250 2.1.0,250 2.1.5,354,250 2.0.0",
    ),
    Row("R102 RSET is text", PLAIN, (EHLO, ENVELOPE + DATA, "RSET\r\n.\r\n"), "250,250 2.1.0,250 2.1.5,354,250 2.0.0"),
    _after_ehlo(
        "R110 R111 chunks", PLAIN, ENVELOPE + "BDAT 1\r\nxBDAT 1 LAST\r\ny", "250 2.1.0,250 2.1.5,250 2.0.0,250 2.0.0"
    ),
    _after_ehlo(
        "R113 second word",
        PLAIN,
        ENVELOPE + "BDAT 6 FIRST\r\nNOOP\r\n" + RCPT,
        "250 2.1.0,250 2.1.5,501 5.5.4,503 5.5.1",
    ),
    _after_ehlo(
        "R113 third word",
        PLAIN,
        ENVELOPE + "BDAT 6 LAST x\r\nNOOP\r\n" + RCPT,
        "250 2.1.0,250 2.1.5,501 5.5.4,503 5.5.1",
    ),
    _after_ehlo(
        "R113 without recipient", PLAIN, MAIL + "BDAT 6 FIRST\r\nNOOP\r\n" + RCPT, "250 2.1.0,501 5.5.4,503 5.5.1"
    ),
    _after_ehlo("R114 no recipient", PLAIN, MAIL + "BDAT 6 LAST\r\nNOOP\r\n" + RCPT, "250 2.1.0,503 5.5.1,250 2.1.5"),
    _after_ehlo(
        "R115 too long",
        SMALL,
        ENVELOPE + "BDAT 60\r\n" + "x" * 60 + "BDAT 6 LAST\r\nNOOP\r\n",
        "250 2.1.0,250 2.1.5,552 5.3.4,503 5.5.1",
    ),
    _after_ehlo("R117 zero", PLAIN, ENVELOPE + "BDAT 0\r\nBDAT 0 LAST\r\n", "250 2.1.0,250 2.1.5,250 2.0.0,250 2.0.0"),
    _after_ehlo(
        "R119 RSET among chunks", PLAIN, ENVELOPE + "BDAT 1\r\nxRSET\r\n", "250 2.1.0,250 2.1.5,250 2.0.0,250 2.0.0"
    ),
    _after_ehlo(
        "R120 NOOP among chunks",
        PLAIN,
        ENVELOPE + "BDAT 1\r\nxNOOP\r\nVRFY x\r\nBDAT 1 LAST\r\ny",
        "250 2.1.0,250 2.1.5,250 2.0.0,250 2.0.0,252 2.5.0,250 2.0.0",
    ),
    _after_ehlo(
        "R121 behind LAST",
        PLAIN,
        ENVELOPE + "BDAT 1 LAST\r\nxBDAT 1 LAST\r\nx",
        "250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1",
    ),
    _after_ehlo("R122 dots", PLAIN, ENVELOPE + "BDAT 7 LAST\r\nx\r\n.\r\ny", "250 2.1.0,250 2.1.5,250 2.0.0"),
    _after_ehlo("R122 bare CR", PLAIN, ENVELOPE + "BDAT 3 LAST\r\nx\ry", "250 2.1.0,250 2.1.5,550 5.5.2"),
    Row("R130 success", WITH_AUTH, (EHLO, GOOD_AUTH), "250,235 2.7.0"),
    Row("R131 challenge", WITH_AUTH, (EHLO, "AUTH LOGIN\r\n", "dXNlcg==\r\n", "c2VjcmV0\r\n"), "250,334,334,235 2.7.0"),
    Row("R132 empty response", WITH_AUTH, (EHLO, "AUTH LOGIN =\r\n", "c2VjcmV0\r\n"), "250,334,501 5.5.2"),
    Row("R133 no mechanism", WITH_AUTH, (EHLO, "AUTH\r\n"), "250,501 5.5.4"),
    Row("R134 unknown mechanism", WITH_AUTH, (EHLO, "AUTH X-Y\r\n"), "250,504 5.5.4"),
    Row("R135 not available", PLAIN, (EHLO, GOOD_AUTH), "250,502 5.5.1"),
    Row("R136 no TLS", TLS_TOO, (EHLO, GOOD_AUTH), "250,538 5.7.11"),
    Row("R136 TLS first", TLS_FIRST, (EHLO, GOOD_AUTH), "250,530 5.7.0"),
    Row(
        "R137 not base64",
        WITH_AUTH,
        (EHLO, "AUTH PLAIN x\r\n", "AUTH PLAIN\r\n", "x\r\n"),
        "250,501 5.5.2,334,501 5.5.2",
    ),
    Row("R138 cancelled", WITH_AUTH, (EHLO, "AUTH PLAIN\r\n", "*\r\n"), "250,334,501 5.0.0"),
    Row("R139 wrong", WITH_AUTH, (EHLO, BAD_AUTH, "AUTH PLAIN AG5vYm9keQBzZWNyZXQ=\r\n"), "250,535 5.7.8,535 5.7.8"),
    Row(
        "R141 again", WITH_AUTH, (EHLO, GOOD_AUTH, GOOD_AUTH, EHLO, GOOD_AUTH), "250,235 2.7.0,503 5.5.1,250,503 5.5.1"
    ),
    Row("R142 in a transaction", WITH_AUTH, (EHLO, MAIL, GOOD_AUTH, RCPT), "250,250 2.1.0,503 5.5.1,250 2.1.5"),
    Row("R143 before EHLO", WITH_AUTH, (GOOD_AUTH,), "503 5.5.1"),
    Row("R144 long answer", WITH_AUTH, (EHLO, "AUTH PLAIN\r\n", "A" * 12_292 + "\r\n"), "250,334,500 5.5.6"),
    Row("R145 server speaks first", SPEAKS_FIRST, (EHLO, "AUTH QUIZ AAAA\r\n"), "250,501 5.7.0"),
    Row("R147 lower case", WITH_AUTH, (EHLO, GOOD_AUTH.replace("PLAIN", "pLaIn")), "250,235 2.7.0"),
    Row("R148 extra words", WITH_AUTH, (EHLO, "AUTH PLAIN AHVzZXIAc2VjcmV0 x\r\n"), "250,501 5.5.4"),
    Row(
        "R150 R156 STARTTLS",
        TLS_TOO,
        (EHLO, "STARTTLS\r\n", HANDSHAKE, MAIL, EHLO, MAIL),
        "250,220 2.0.0,503 5.5.1,250,250 2.1.0",
    ),
    Row(
        "R151 TLS active",
        TLS_TOO,
        (EHLO, "STARTTLS\r\n", HANDSHAKE, EHLO, "STARTTLS\r\n"),
        "250,220 2.0.0,250,503 5.5.1",
    ),
    Row("R152 no TLS", PLAIN, (EHLO, "STARTTLS\r\n"), "250,502 5.5.1"),
    Row(
        "R153 STARTTLS x",
        TLS_TOO,
        (EHLO, "STARTTLS x\r\n", "STARTTLSx\r\nSTARTTL\r\n"),
        "250,501 5.5.4,500 5.5.2,500 5.5.2",
    ),
    Row(
        "R157 in a transaction",
        TLS_TOO,
        (EHLO, ENVELOPE, "STARTTLS\r\n", HANDSHAKE, EHLO, RCPT),
        "250,250 2.1.0,250 2.1.5,220 2.0.0,250,503 5.5.1",
    ),
    Row("S02 helo", PLAIN, ("HELO localhost\r\n",), "250"),
    Row(
        "S03 auth twice",
        WITH_AUTH,
        (EHLO, GOOD_AUTH, GOOD_AUTH, "RSET\r\n", GOOD_AUTH),
        "250,235 2.7.0,503 5.5.1,250 2.0.0,503 5.5.1",
    ),
    Row(
        "S05 S06 null sender",
        WITH_AUTH,
        (EHLO, GOOD_AUTH, "MAIL FROM:\r\n", "MAIL FROM:<>\r\n"),
        "250,235 2.7.0,501 5.5.4,250 2.1.0",
    ),
    _after_ehlo("S08 SMTPUTF8", PLAIN, "MAIL FROM:<a@example.org> SMTPUTF8\r\n", "250 2.1.0"),
    _after_ehlo("S09 SMTPUTF8 off", NO_UTF8, "MAIL FROM:<a@example.org> SMTPUTF8\r\n", "555 5.5.4"),
    _after_ehlo("S10 8BITMIME", PLAIN, "MAIL FROM:<a@example.org> BODY=8bitMIME\r\n", "250 2.1.0"),
    _after_ehlo("S11 BODY", PLAIN, "MAIL FROM:<a@example.org> BODY=RABBIT\r\n", "501 5.5.4"),
    _after_ehlo("S12 unknown", PLAIN, "MAIL FROM:<a@example.org> RABBIT\r\n", "555 5.5.4"),
    _after_ehlo("S13 SIZE word", PLAIN, "MAIL FROM:<a@example.org> SIZE=rabbit\r\n", "501 5.5.4"),
    _after_ehlo(
        "S14 SIZE too big",
        make_settings(limits={"max_message_bytes": 4294967294}),
        "MAIL FROM:<a@example.org> SIZE=4294967295\r\n",
        "552 5.3.4",
    ),
    _after_ehlo("S15 empty to", PLAIN, MAIL + "RCPT TO:\r\n", "250 2.1.0,501 5.5.4"),
    Row(
        "S20 other commands",
        PLAIN,
        ("HELP\r\n", "VRFY x\r\n", NOOP, "RSET\r\n"),
        "214 2.0.0,252 2.5.0,250 2.0.0,250 2.0.0",
    ),
    _after_ehlo("S25 AUTH required", MUST_AUTH, MAIL, "530 5.7.0"),
    Row("S36 too long command", PLAIN, (EHLO, f"MAIL FROM:<{'a' * 2048}>\r\n"), "250,500 5.5.2"),
    Row("X23 discarded chunk", PLAIN, (EHLO, "BDAT 9 LAST\r\nMAIL FROM"), "250,503 5.5.1"),
    Row("X24 discarded chunk", PLAIN, (EHLO, MAIL, "BDAT 7 LAST\r\nRCPT TO"), "250,250 2.1.0,503 5.5.1"),
    Row("F01 AUTH in a transaction", WITH_AUTH, (EHLO, MAIL, "AUTH PLAIN\r\n"), "250,250 2.1.0,503 5.5.1"),
    Row(
        "F02 AUTH enforced",
        MUST_AUTH,
        (EHLO, MAIL, GOOD_AUTH, MAIL, "RSET\r\n", MAIL, EHLO, MAIL),
        "250,530 5.7.0,235 2.7.0,250 2.1.0,250 2.0.0,250 2.1.0,250,250 2.1.0",
    ),
    Row("F03 failing AUTH", MUST_AUTH, (EHLO, MAIL, "AUTH PLAIN x\r\n" * 2), "250,530 5.7.0,501 5.5.2,501 5.5.2"),
    Row("F05 wrong mechanism", WITH_AUTH, (EHLO, "AUTH HI\r\n"), "250,504 5.5.4"),
    Row(
        "F06 VRFY argument",
        NO_UTF8,
        ("VRFY\r\n", "VRFY test\r\n", "VRFY a@example.org\r\n", "VRFY a@example.org SMTPUTF8\r\n"),
        "501 5.5.4,252 2.5.0,252 2.5.0,555 5.5.4",
    ),
    Row(
        "F07 no recipient",
        PLAIN,
        (EHLO, MAIL, DATA, RCPT, DATA, "x\r\n.\r\n"),
        "250,250 2.1.0,503 5.5.1,250 2.1.5,354,250 2.0.0",
    ),
    Row(
        "F11 TLS enforced",
        TLS_FIRST,
        (GOOD_AUTH, MAIL, EHLO, NOOP, "STARTTLS\r\n", HANDSHAKE),
        "530 5.7.0,530 5.7.0,250,250 2.0.0,220 2.0.0",
    ),
    Row(
        "F13 TLS enforced, STARTTLS",
        TLS_FIRST,
        (EHLO, "STARTTLS\r\n", HANDSHAKE, EHLO, GOOD_AUTH),
        "250,220 2.0.0,250,235 2.7.0",
    ),
    Row("F14 not enforced", TLS_TOO, (EHLO, "STARTTLS\r\n", HANDSHAKE, EHLO, GOOD_AUTH), "250,220 2.0.0,250,235 2.7.0"),
    Row("F14 AUTH in clear allowed", WITH_AUTH, (EHLO, GOOD_AUTH), "250,235 2.7.0"),
    Row(
        "B03 behind 552",
        SMALL,
        (
            EHLO,
            ENVELOPE + "BDAT 60\r\n" + "x" * 60 + "BDAT 1\r\nxBDAT 1 LAST\r\nx",
            "RSET\r\n",
            ENVELOPE + "BDAT 1 LAST\r\nx",
        ),
        "250,250 2.1.0,250 2.1.5,552 5.3.4,503 5.5.1,503 5.5.1,250 2.0.0,250 2.1.0,250 2.1.5,250 2.0.0",
    ),
    Row(
        "B04 DATA behind BDAT",
        PLAIN,
        (EHLO, ENVELOPE + "BDAT 1\r\nx", DATA),
        "250,250 2.1.0,250 2.1.5,250 2.0.0,503 5.5.1",
    ),
    Row(
        "B07 refused first chunk",
        SMALL,
        (EHLO, ENVELOPE + "BDAT 60\r\n" + "x" * 60, RCPT, DATA, ENVELOPE),
        "250,250 2.1.0,250 2.1.5,552 5.3.4,503 5.5.1,503 5.5.1,250 2.1.0,250 2.1.5",
    ),
    Row("D01 refused chunk", PLAIN, (EHLO, "BDAT 12 LAST\r\nRSET\r\nNOOP\r\n"), "250,503 5.5.1"),
    Row(
        "D06 by BDAT",
        SMALL,
        (EHLO, ENVELOPE + "BDAT 50 LAST\r\n" + "x" * 50, ENVELOPE + "BDAT 51 LAST\r\n" + "x" * 51),
        "250,250 2.1.0,250 2.1.5,250 2.0.0,250 2.1.0,250 2.1.5,552 5.3.4",
    ),
    Row("D17 repeated", PLAIN, (EHLO, "MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n"), "250,501 5.5.4"),
    _after_ehlo("D18 SIZE without limit", NO_LIMIT, "MAIL FROM:<a@b.example> SIZE=5000000000\r\n", "250 2.1.0"),
    _after_ehlo("D18 SIZE of 20 digits", PLAIN, f"MAIL FROM:<a@b.example> SIZE={'9' * 20}\r\n", "552 5.3.4"),
    _after_ehlo("D18 SIZE of 21 digits", PLAIN, f"MAIL FROM:<a@b.example> SIZE={'9' * 21}\r\n", "501 5.5.4"),
    _after_ehlo("D25 not ASCII", PLAIN, "MAIL FROM:<a@b\u00fccher.example>\r\n", "553 5.6.7"),
    _after_ehlo("D26 postmaster", PLAIN, MAIL + "RCPT TO:<Postmaster>\r\n", "250 2.1.0,250 2.1.5"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_row(row: Row) -> None:
    assert survives(*row.script, settings=row.settings).codes == row.codes.split(",")


END_ROWS = [
    Row("R24 endless line", PLAIN, ("x" * 65_536,), "500 5.5.2"),
    Row("R25 bare LF", PLAIN, ("NOOP\nNOOP\r\n",), "500 5.5.2"),
    Row("R26 bare CR", PLAIN, ("NO\rOP\r\n",), "500 5.5.2"),
    Row("R28 HTTP", PLAIN, ("GET / HTTP/1.0\r\n",), "500 5.5.2"),
    Row("R35 QUIT", PLAIN, ("QUIT\r\nNOOP\r\n",), "221 2.0.0"),
    Row("R112 no size", PLAIN, (EHLO, ENVELOPE, "BDAT x\r\nNOOP\r\n"), "250,250 2.1.0,250 2.1.5,501 5.5.4"),
    Row("R115 far too long", SMALL, (EHLO, ENVELOPE, "BDAT 1048627\r\nNOOP\r\n"), "250,250 2.1.0,250 2.1.5,552 5.3.4"),
    Row("R116 20 digits", PLAIN, (EHLO, ENVELOPE, f"BDAT {'9' * 20}\r\n"), "250,250 2.1.0,250 2.1.5,552 5.3.4"),
    Row(
        "R119 QUIT among chunks",
        PLAIN,
        (EHLO, ENVELOPE, "BDAT 1\r\nxQUIT\r\n"),
        "250,250 2.1.0,250 2.1.5,250 2.0.0,221 2.0.0",
    ),
    Row("R170 idle", PLAIN, (EHLO, EXPIRE), "250,421 4.4.2"),
    Row(
        "R101 idle in content",
        PLAIN,
        (EHLO, ENVELOPE + DATA, "x\r\n", EXPIRE, ".\r\nNOOP\r\n"),
        "250,250 2.1.0,250 2.1.5,354,421 4.4.2",
    ),
    Row("S24 endless line", PLAIN, (EHLO, "MAIL FROM:<a@example.org> " + "x" * 70_000), "250,500 5.5.2"),
    Row(
        "F10 QUIT behind a chunk",
        PLAIN,
        (EHLO, ENVELOPE, "BDAT 8\r\n12345678", "QUIT\r\n"),
        "250,250 2.1.0,250 2.1.5,250 2.0.0,221 2.0.0",
    ),
    Row("D28 bare LF", PLAIN, ("EHLO x\n",), "500 5.5.2"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in END_ROWS])
def test_row_that_ends_the_connection(row: Row) -> None:
    assert ends(*row.script, settings=row.settings).codes == row.codes.split(",")


# What codes alone do not show -------------------------------------------------------------------------------------


def _sent(protocol: ServerProtocol) -> bytes:
    return protocol.data_to_send()


@pytest.mark.parametrize(("settings", "word"), [(PLAIN, "ESMTP"), (LMTP_SETTINGS, "LMTP")])
def test_r01_greeting(settings: ServerSettings, word: str) -> None:
    protocol = ServerProtocol(settings)
    protocol.greet()
    assert _sent(protocol) == f"220 server.example {word} ready\r\n".encode()


@pytest.mark.parametrize(
    "reply", [replies.TOO_MANY_CONNECTIONS, replies.TOO_MANY_FROM_ADDRESS, replies.make(554, "5.7.1", "no")]
)
def test_r02_r09_refusal_instead_of_the_greeting(reply: Reply) -> None:
    protocol = ServerProtocol(PLAIN)
    protocol.greet(reply)
    assert _sent(protocol) == reply.to_bytes()
    assert isinstance(protocol.next_event(), ConnectionEnded)
    protocol.receive_data(b"NOOP\r\n")
    assert protocol.next_event() is None
    assert _sent(protocol) == b""


def test_r03_r04_d23_hello_replies() -> None:
    helo, ehlo = play("HELO x\r\n", EHLO).replies
    assert helo == replies.make(250, None, "server.example")
    assert ehlo.lines[0] == "server.example"
    assert ehlo.enhanced is None


def test_r09_hello_refused_by_the_session() -> None:
    outcome = survives(EHLO, MAIL, policy=answering(HelloAsked, replies.make(550, "5.7.1", "no")))
    assert outcome.codes == ["550 5.7.1", "503 5.5.1"]
    outcome = ends(EHLO, policy=answering(HelloAsked, replies.make(554, "5.7.1", "no", close=True)))
    assert outcome.codes == ["554 5.7.1"]


def test_r09_hello_answered_by_the_session() -> None:
    own = replies.make(250, None, "other.example", "SIZE")
    assert survives(EHLO, MAIL, policy=answering(HelloAsked, own)).replies[0] == own


def test_r23_s21_the_error_that_reaches_the_limit() -> None:
    outcome = ends("ABCD\r\n" * 5, settings=make_settings(limits={"hard_error_limit": 4}))
    assert outcome.codes == ["500 5.5.2"] * 3 + ["421 4.7.0"]


def test_r34_rset_is_told_and_facts_are_kept() -> None:
    peer = ServerPeer(WITH_AUTH).connect()
    outcome = peer.play([EHLO, GOOD_AUTH, ENVELOPE, "RSET\r\n"])
    assert outcome.of(ResetAsked) == [ResetAsked("RSET")]
    assert peer.protocol.facts.hello_name == "client.example"
    assert peer.protocol.facts.identity == "user"
    assert peer.protocol.recipients == []


def test_r55_s27_auth_parameter_of_somebody_unknown() -> None:
    script = [f"MAIL FROM:<a@b.example> AUTH={value}\r\n" for value in ("<hey+A>", "<he+YYa>", "hey+3Da@example.com")]
    outcome = survives(EHLO, *script, RCPT, DATA, ".\r\n")
    assert outcome.codes == ["250", "501 5.5.4", "501 5.5.4", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    (message,) = outcome.messages
    assert str(message.params.get(AUTH)) == "hey=a@example.com"
    assert message.identity is None


@pytest.mark.parametrize("kind", [MailAsked, RcptAsked, BodyEnded, AuthAsked, ChunkEnded, HelloAsked])
def test_r62_r79_r98_r173_d22_s07_a_failing_handler_shows_nothing(kind: type) -> None:
    outcome = survives(
        EHLO, GOOD_AUTH, ENVELOPE + "BDAT 1\r\nxBDAT 1 LAST\r\nx",
        settings=WITH_AUTH, policy=answering(kind, replies.make(451, "4.3.0", "error 17")),
    )  # fmt: skip
    assert "451 4.3.0" in outcome.codes


def test_r70_forwarded() -> None:
    outcome = survives(EHLO, ENVELOPE, policy=answering(RcptAsked, replies.make(251, "2.1.5", "will forward")))
    assert outcome.codes[-1] == "251 2.1.5"


def test_r75_above_the_recipient_limit() -> None:
    outcome = survives(EHLO, ENVELOPE + TO_C + DATA, ".\r\n", settings=make_settings(limits={"max_recipients": 1}))
    assert outcome.codes[3:] == ["452 4.5.3", "354", "250 2.0.0"]
    assert outcome.messages[0].recipients == ("b@server.example",)


def test_r95_text_from_the_session() -> None:
    outcome = survives(
        EHLO, ENVELOPE + DATA, ".\r\n", policy=answering(BodyEnded, replies.make(250, "2.0.0", "queued as 7"))
    )
    assert outcome.replies[-1].text == "queued as 7"


def test_r100_s31_connection_lost_in_a_chunk() -> None:
    outcome = play(EHLO, ENVELOPE, "BDAT 8\r\n12345", EOF)
    assert outcome.messages == []
    assert outcome.of(BodyAborted) == [BodyAborted(AbortCause.LOST, 5)]
    assert outcome.closed


@pytest.mark.parametrize(
    ("line", "cause"), [("RSET\r\n", AbortCause.RESET), ("QUIT\r\n", AbortCause.QUIT), (EHLO, AbortCause.HELLO)]
)
def test_r119_s30_b05_f10_content_that_is_given_up(line: str, cause: AbortCause) -> None:
    outcome = play(EHLO, ENVELOPE, "BDAT 8\r\n12345678", line)
    assert outcome.of(BodyAborted) == [BodyAborted(cause, 8)]
    assert outcome.messages == []


def test_r119_starttls_gives_content_up() -> None:
    outcome = play(EHLO, ENVELOPE, "BDAT 8\r\n12345678", "STARTTLS\r\n", settings=TLS_TOO)
    assert outcome.of(BodyAborted) == [BodyAborted(AbortCause.STARTTLS, 8)]
    assert outcome.of(ResetAsked) == [ResetAsked("STARTTLS")]


@pytest.mark.parametrize("last", ["", " LAST"])
def test_r118_s32_s33_session_refuses_a_chunk(last: str) -> None:
    kind = BodyEnded if last else ChunkEnded
    outcome = survives(EHLO, ENVELOPE, f"BDAT 8{last}\r\n12345678", "BDAT 1 LAST\r\nx",
                       policy=answering(kind, replies.make(555, "5.0.0", "no")))  # fmt: skip
    assert outcome.codes[3:] == ["555 5.0.0", "503 5.5.1"]
    assert outcome.messages == []


def test_r131_s04_empty_challenge_has_its_space() -> None:
    peer = ServerPeer(WITH_AUTH).connect()
    peer.send(EHLO)
    peer.protocol.receive_data(b"AUTH PLAIN\r\n")
    assert peer.protocol.next_event() is None
    assert _sent(peer.protocol) == b"334 \r\n"
    assert peer.send("*\r\n") == ["501 5.0.0"]


def test_r139_r140_r146_d15_failures() -> None:
    outcome = ends(EHLO, BAD_AUTH * 4, settings=WITH_AUTH)
    assert outcome.codes[1:] == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert outcome.pauses == [1.0, 2.0]
    outcome = survives(
        EHLO, GOOD_AUTH * 5, settings=WITH_AUTH, policy=answering(AuthAsked, replies.CANNOT_AUTHENTICATE_NOW)
    )
    assert outcome.codes[1:] == ["454 4.7.0"] * 5
    assert outcome.pauses == []


def test_r154_input_behind_starttls() -> None:
    outcome = ends(EHLO, "STARTTLS\r\nNOOP\r\n", settings=TLS_TOO, cuts=(None,))
    assert outcome.codes == ["250", "554 5.5.0"]
    assert outcome.of(StartTLSAsked) == []


def test_r155_f15_d35_failed_handshake_is_not_answered() -> None:
    peer = ServerPeer(TLS_TOO).connect()
    peer.play([EHLO, "STARTTLS\r\n"])
    peer.protocol.close(replies.make(554, "5.7.0", "no"), "handshake failed")
    assert _sent(peer.protocol) == b""
    assert peer.protocol.next_event() == ConnectionEnded("handshake failed", expected=False)


def test_r155_deadline_of_a_handshake_is_not_answered() -> None:
    assert ends(EHLO, "STARTTLS\r\n", EXPIRE, settings=TLS_TOO).codes == ["250", "220 2.0.0"]


def test_r157_the_session_is_told_that_its_transaction_is_gone() -> None:
    outcome = play(EHLO, ENVELOPE, "STARTTLS\r\n", settings=TLS_TOO)
    assert outcome.codes[-1] == "220 2.0.0"
    assert outcome.of(ResetAsked) == [ResetAsked("STARTTLS")]


def test_r158_tls_not_to_be_had_now() -> None:
    outcome = survives(EHLO, "STARTTLS\r\n", MAIL, settings=TLS_TOO,
                       policy=answering(StartTLSAsked, replies.make(454, "4.7.0", "later")))  # fmt: skip
    assert outcome.codes == ["250", "454 4.7.0", "250 2.1.0"]


def test_r159_starttls_after_auth() -> None:
    settings = make_settings(starttls=True, mechanisms=MECHANISMS, allow_insecure_auth=True)
    assert survives(EHLO, GOOD_AUTH, "STARTTLS\r\n", settings=settings).codes == ["250", "235 2.7.0", "503 5.5.1"]


@pytest.mark.parametrize("before", [(), (EHLO,), (EHLO, MAIL)])
def test_r172_peer_that_leaves_between_messages_is_expected(before: tuple[str, ...]) -> None:
    outcome = play(*before, EOF)
    (ended,) = outcome.of(ConnectionEnded)
    assert ended.expected


def test_r174_server_stops() -> None:
    peer = ServerPeer().connect()
    peer.send(EHLO)
    peer.protocol.close(replies.SHUTTING_DOWN, "shutting down")
    peer.send(NOOP)
    assert peer.outcome.codes == ["250", "421 4.3.2"]


@pytest.mark.parametrize(("settings", "code", "contents"), [
    (PLAIN, "550 5.5.2", []),
    (NORMALIZE, "250 2.0.0", [b"Subject: x\r\n\r\none two\r\n.three\r\n"]),
])  # fmt: skip
def test_s16_whole_flow(settings: ServerSettings, code: str, contents: list[bytes]) -> None:
    outcome = survives(EHLO, ENVELOPE + DATA, "Subject: x\r\n\r\none\rtwo\r\n..three\r\n.\r\n", settings=settings)
    assert outcome.codes[3:] == ["354", code]
    assert outcome.contents == contents


def test_s16_whole_flow_without_the_cr() -> None:
    outcome = survives(
        EHLO, GOOD_AUTH, ENVELOPE + DATA, "Subject: x\r\n\r\none\r\n..three\r\n.\r\n", settings=WITH_AUTH
    )
    (message,) = outcome.messages
    assert message.sender == "a@client.example"
    assert message.recipients == ("b@server.example",)
    assert message.content == b"Subject: x\r\n\r\none\r\n.three\r\n"
    assert message.identity == "user"


SMUGGLING = [
    ("S17", "one\n.\ntwo\r\n.\r\n", b"one\r\ntwo\r\n"),
    ("S23a", "one\r\n.\ntwo\r\n.\r\n", b"one\r\ntwo\r\n"),
    ("S23b", "one\n.\r\ntwo\r\n.\r\n", b"one\r\ntwo\r\n"),
]


@pytest.mark.parametrize(("text", "stored"), [pytest.param(*row[1:], id=row[0]) for row in SMUGGLING])
def test_smuggling(text: str, stored: bytes) -> None:
    outcome = survives(EHLO, ENVELOPE + DATA, text)
    assert outcome.codes[3:] == ["354", "550 5.5.2"]
    assert outcome.messages == []
    outcome = survives(EHLO, ENVELOPE + DATA, text, settings=NORMALIZE)
    assert outcome.codes[3:] == ["354", "250 2.0.0"]
    assert outcome.contents == [stored]


@pytest.mark.parametrize(("text", "stored"), [("\r\n\r\n.\r\n", b"\r\n\r\n"), (".\r\n", b"")])
def test_s18_empty_message(text: str, stored: bytes) -> None:
    assert survives(EHLO, ENVELOPE + DATA, text).contents == [stored]


def test_s19_auth_disabled() -> None:
    outcome = survives(EHLO, "AUTH PLAIN\r\n")
    assert outcome.codes == ["250", "502 5.5.1"]
    assert not any(line.startswith("AUTH") for line in outcome.replies[0].lines)


def test_s22_too_long() -> None:
    outcome = survives(EHLO, ENVELOPE + DATA, ("x" * 40 + "\r\n") * 3 + ".\r\n", settings=SMALL)
    assert outcome.codes[3:] == ["354", "552 5.3.4"]
    assert outcome.messages == []


@pytest.mark.parametrize(("path", "settings"), [(" <root@example.org>", PLAIN), ("root@example.org", LENIENT)])
def test_s26_anonymous(path: str, settings: ServerSettings) -> None:
    outcome = survives(EHLO, f"MAIL FROM:{path}\r\n", RCPT, DATA, "x\r\n.\r\n", settings=settings)
    (message,) = outcome.messages
    assert (message.sender, message.identity) == ("root@example.org", None)


def test_s28_chunks() -> None:
    outcome = survives(EHLO, ENVELOPE + "BDAT 8\r\n12345678BDAT 8 LAST\r\nabcdefgh")
    assert outcome.codes[3:] == ["250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"12345678abcdefgh"]


def test_s29_chunks_by_lmtp() -> None:
    outcome = survives(LHLO, ENVELOPE + TO_C + "BDAT 8\r\n12345678BDAT 8 LAST\r\nabcdefgh", settings=LMTP_SETTINGS)
    assert outcome.codes[4:] == ["250 2.0.0", "250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"12345678abcdefgh"]


def test_s34_chunks_too_long() -> None:
    outcome = survives(EHLO, ENVELOPE + "BDAT 30\r\n" + "x" * 30 + "BDAT 96 LAST\r\n" + "x" * 96, settings=SMALL)
    assert outcome.codes[3:] == ["250 2.0.0", "552 5.3.4"]
    assert outcome.messages == []


def test_x25_r02_own_keyword() -> None:
    class Own(Extension):
        keyword = "XEXAMPLE"

        def advertise(self, settings: ServerSettings, facts: object) -> str:
            return "https://example.org/x"

    (reply,) = play(EHLO, settings=make_settings(extensions=[*EXTENSIONS, Own()])).replies
    assert "XEXAMPLE https://example.org/x" in reply.lines


def test_f04_r103_x16_pipelined() -> None:
    script = (EHLO, ENVELOPE + "DATA\r\nhello\r\n..dot\r\n.\r\nNOOP\r\n")
    outcome = play(*script, settings=make_settings(sync_check="off"))
    assert outcome.codes[3:] == ["354", "250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"hello\r\n.dot\r\n"]
    assert ends(*script, cuts=(None,)).codes[3:] == ["554 5.5.0"]
    outcome = play(EHLO, ENVELOPE + DATA, "hello\r\n..dot\r\n.\r\nNOOP\r\n")
    assert outcome.codes[3:] == ["354", "250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"hello\r\n.dot\r\n"]


def test_f08_d03_the_line_limit_does_not_touch_chunks() -> None:
    settings = make_settings(
        limits={"max_command_line_bytes": 100, "max_auth_line_bytes": 100, "max_discard_bytes": 200}
    )
    outcome = survives(EHLO, ENVELOPE, "BDAT 5002\r\n" + "a" * 5000 + "\r\nBDAT 8 LAST\r\n12345678", settings=settings)
    assert outcome.codes[3:] == ["250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"a" * 5000 + b"\r\n12345678"]


def test_f09_chunk_rset_again() -> None:
    outcome = survives(EHLO, ENVELOPE, "BDAT 8\r\n12345678", "RSET\r\n", ENVELOPE + DATA, "x\r\n.\r\n")
    assert outcome.contents == [b"x\r\n"]


def test_f12_tls_enforced_and_there_from_the_beginning() -> None:
    assert survives(EHLO, GOOD_AUTH, settings=TLS_FIRST, tls=TLS_FACTS).codes == ["250", "235 2.7.0"]


@pytest.mark.parametrize("chunks", [
    [b"hello\r\n"],
    [b"a\r\n", b"b", b"\r\n"],
    [b""],
    [b"".join(bytes([n]) for n in range(256) if n not in (10, 13))],
    [b"a\r\n.\r\nb\r\n"],
])  # fmt: skip
def test_b01_chunks_arrive_exactly(chunks: list[bytes]) -> None:
    last = len(chunks) - 1
    octets = b"".join(
        b"BDAT %d%b\r\n%b" % (len(each), b" LAST" if i == last else b"", each) for i, each in enumerate(chunks)
    )
    assert survives(EHLO, ENVELOPE, octets).contents == [b"".join(chunks)]


CHUNK_OF_A_COMMAND = "BDAT 6 LAST\r\nNOOP\r\n"
B02 = {
    "no MAIL": ((EHLO, CHUNK_OF_A_COMMAND), "503 5.5.1"),
    "no RCPT": ((EHLO, MAIL, CHUNK_OF_A_COMMAND), "503 5.5.1"),
    "too large": ((EHLO, ENVELOPE, "BDAT 51\r\n" + "NOOP\r\n" * 8 + "RSE"), "552 5.3.4"),
    "behind one too large": ((EHLO, ENVELOPE, "BDAT 51\r\n" + "x" * 51, CHUNK_OF_A_COMMAND), "503 5.5.1"),
    "bad second word": ((EHLO, ENVELOPE, "BDAT 6 NEXT\r\nNOOP\r\n"), "501 5.5.4"),
    "refused by the session": ((EHLO, ENVELOPE, "BDAT 6\r\nNOOP\r\n"), "555 5.0.0"),
}


@pytest.mark.parametrize("why", B02)
def test_b02_in_step_behind_every_refusal(why: str) -> None:
    script, code = B02[why]
    policy = answering(ChunkEnded, replies.make(555, "5.0.0", "no"))
    outcome = survives(*script, NOOP, settings=SMALL, policy=policy)
    assert outcome.codes[-2:] == [code, "250 2.0.0"]
    assert outcome.messages == []


def test_d02_line_limit_behind_a_chunk() -> None:
    for between in ("", "RSET\r\n"):
        peer = ServerPeer().connect()
        peer.play([EHLO, ENVELOPE, "BDAT 1\r\nx", between])
        assert peer.send(b"x" * 1_000_000, cut=4096) == ["500 5.5.2"]
        assert peer.outcome.closed
        assert peer.most_unread < 20_000


@pytest.mark.parametrize("command", ["DATA", "BDAT"])
def test_d05_oversize_by_lmtp_is_read_to_its_end(command: str) -> None:
    content = "NOOP\r\nQUIT\r\n" * 20
    text = (DATA, content + ".\r\n") if command == "DATA" else (f"BDAT {len(content)} LAST\r\n{content}",)
    settings = make_settings(dialect=LMTP, limits={"max_message_bytes": 50})
    outcome = survives(LHLO, ENVELOPE + TO_C, *text, settings=settings)
    assert outcome.codes[-2:] == ["552 5.3.4", "552 5.3.4"]
    assert outcome.messages == []


@pytest.mark.parametrize(("size", "code"), [(50, "250 2.0.0"), (51, "552 5.3.4")])
def test_d06_by_data(size: int, code: str) -> None:
    outcome = survives(EHLO, ENVELOPE + DATA, "x" * (size - 2) + "\r\n.\r\n", settings=SMALL)
    assert outcome.codes[-1] == code


@pytest.mark.parametrize("limit", [1, 63, 4095, 4096, 4097, 8193, 8194])
def test_x15_limits_of_a_long_line(limit: int) -> None:
    settings = make_settings(limits={"max_message_bytes": limit})
    outcome = survives(EHLO, ENVELOPE + DATA, "a" * 8192 + "\r\n.\r\n", settings=settings)
    assert outcome.codes[-1] == ("250 2.0.0" if limit == 8194 else "552 5.3.4")
    outcome = survives(EHLO, ENVELOPE + DATA, "a" * (limit - 2) + "\r\n.\r\n", settings=settings)
    assert outcome.codes[-1] == ("552 5.3.4" if limit < 2 else "250 2.0.0")


def test_d11_mail_in_a_transaction() -> None:
    outcome = survives(EHLO, ENVELOPE, "MAIL FROM:<x@y.example>\r\n", DATA, ".\r\n")
    assert outcome.codes[3:] == ["503 5.5.1", "354", "250 2.0.0"]
    assert outcome.messages[0].sender == "a@client.example"


def test_d20_faults_are_judged_in_order() -> None:
    for _ in range(20):
        assert play(EHLO, "MAIL FROM:<a@b.example> SIZE=x FOO=y\r\n", cuts=(None,)).codes[-1] == "501 5.5.4"
        assert play(EHLO, "MAIL FROM:<a@b.example> FOO=y SIZE=x\r\n", cuts=(None,)).codes[-1] == "555 5.5.4"


def test_d21_long_initial_response() -> None:
    assert survives(EHLO, "AUTH PLAIN " + "A" * 8192 + "\r\n", settings=WITH_AUTH).codes == ["250", "501 5.5.2"]
    assert survives(EHLO, "AUTH PLAIN " + "A" * 12_292 + "\r\n", settings=WITH_AUTH).codes == ["250", "500 5.5.6"]


def test_d23_code_on_every_line() -> None:
    protocol = ServerPeer().connect().protocol
    protocol.receive_data(EHLO.encode())
    protocol.next_event()
    protocol.answer(replies.make(550, "5.7.1", "one", "two"))
    assert _sent(protocol) == b"550-5.7.1 one\r\n550 5.7.1 two\r\n"


@pytest.mark.parametrize("line", ["RCPT TO:<nobody@server.example>\r\n", "RCPT TO:<x>\r\n", "VRFY\r\n", "EHLO\r\n"])
def test_d38_every_refusal_counts(line: str) -> None:
    policy = answering(RcptAsked, replies.make(550, "5.1.1", "no such user"))
    outcome = ends(EHLO, MAIL, line * 1000, policy=policy, cuts=(None, 17))
    assert outcome.codes[-1] == "421 4.7.0"
    assert len(outcome.codes) == 2 + 20


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MAIL FROM:<x>\r\n", "501 5.1.7"),
        ("MAIL FROM:<a@b.example> SIZE=x\r\n", "501 5.5.4"),
        ("\r\n", "500 5.5.2"),
        ("ABCD\r\n", "500 5.5.2"),
        ("ABCDE\r\n", "500 5.5.2"),
        ("AUTH PLAIN x\r\n", "501 5.5.2"),
        ("RCPT TO:<b@c.example>\r\n", "503 5.5.1"),
    ],
)
def test_d38_r20_r21_r22_f03_mistakes_count(line: str, code: str) -> None:
    outcome = ends(EHLO, line * 1000, settings=WITH_AUTH, cuts=(None, 17))
    assert outcome.codes == ["250", *[code] * 19, "421 4.7.0"]


# LMTP -------------------------------------------------------------------------------------------------------------

NO = replies.make(555, "5.0.0", "no")
NOT_NOW = replies.make(451, "4.3.0", "later")


def _lmtp(answer: tuple[Reply | None, ...], recipients: str = RCPT + TO_C) -> list[str]:
    outcome = survives(
        LHLO, MAIL, recipients + DATA, "x\r\n.\r\n", settings=LMTP_SETTINGS, policy=answering(BodyEnded, answer)
    )
    return [f"{reply.code} {reply.enhanced} {reply.text.split()[0]}" for reply in outcome.replies if "<" in reply.text]


def test_l1_verdicts() -> None:
    assert _lmtp((NOT_NOW, None)) == ["451 4.3.0 <b@server.example>", "250 2.0.0 <c@server.example>"]


def test_l3_one_verdict_is_everybodys() -> None:
    assert _lmtp((NO,)) == ["555 5.0.0 <b@server.example>", "555 5.0.0 <c@server.example>"]


def test_l4_duplicates() -> None:
    verdicts = (NO, None, replies.make(556, "5.0.0", "no"))
    assert _lmtp(verdicts, RCPT + TO_C + RCPT) == [
        "555 5.0.0 <b@server.example>", "250 2.0.0 <c@server.example>", "556 5.0.0 <b@server.example>",
    ]  # fmt: skip


def test_l_a_missing_verdict_is_not_success() -> None:
    assert _lmtp((None, None), RCPT + TO_C + RCPT)[2] == "451 4.3.0 <b@server.example>"
    assert len(_lmtp((None, None, None), RCPT)) == 1


@pytest.mark.parametrize("text", [(DATA, "a\nb\r\n.\r\n"), ("BDAT 3 LAST\r\na\nb",)], ids=["DATA", "BDAT"])
def test_l_5_a_message_that_is_no_good_is_refused_for_each(text: tuple[str, ...]) -> None:
    outcome = survives(LHLO, ENVELOPE + TO_C + RCPT, *text, settings=LMTP_SETTINGS)
    assert outcome.codes[-3:] == ["550 5.5.2"] * 3
    names = [reply.text.split()[0] for reply in outcome.replies[-3:]]
    assert names == ["<b@server.example>", "<c@server.example>", "<b@server.example>"]


def test_l_no_recipient_no_verdict() -> None:
    outcome = survives(LHLO, MAIL, DATA, settings=LMTP_SETTINGS)
    assert outcome.codes == ["250", "250 2.1.0", "503 5.5.1"]


def test_l_421_closes_behind_the_last_verdict() -> None:
    outcome = ends(LHLO, ENVELOPE + TO_C + DATA, ".\r\n", settings=LMTP_SETTINGS,
                   policy=answering(BodyEnded, (None, replies.SHUTTING_DOWN)))  # fmt: skip
    assert outcome.codes[-2:] == ["250 2.0.0", "421 4.3.2"]


def test_l_refused_messages_count_as_errors() -> None:
    message = (ENVELOPE + DATA, ".\r\n")
    outcome = ends(LHLO, *message * 19, "XYZZY\r\n", settings=LMTP_SETTINGS, policy=answering(BodyEnded, NO))
    assert outcome.codes[-1] == "421 4.7.0"
