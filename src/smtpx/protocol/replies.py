"""The stock replies: each text once, each with its enhanced code. One meaning, one reply."""

from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply

__all__ = ["make"]


def make(code: int, enhanced: str | None, *lines: str, close: bool = False) -> Reply:
    """A reply with its enhanced code written as text.

    >>> make(250, "2.0.0", "OK").to_bytes()
    b'250 2.0.0 OK\\r\\n'
    """
    return Reply(code, EnhancedCode.parse(enhanced) if enhanced else None, lines or ("",), close)


OK = make(250, "2.0.0", "OK")
SENDER_OK = make(250, "2.1.0", "sender ok")
RECIPIENT_OK = make(250, "2.1.5", "recipient ok")
CHUNK_OK = make(250, "2.0.0", "chunk received")
MESSAGE_OK = make(250, "2.0.0", "message accepted")
RESET_OK = make(250, "2.0.0", "reset")
HELP = make(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT, and what EHLO lists: see RFC 5321")
BYE = make(221, "2.0.0", "bye")
CANNOT_VERIFY = make(252, "2.5.0", "cannot verify; send mail and see")
GO_AHEAD = make(354, None, "send the message, end it with a line that holds only a dot")
READY_FOR_TLS = make(220, "2.0.0", "ready for TLS")
AUTHENTICATED = make(235, "2.7.0", "authenticated")

BAD_LINE = make(500, "5.5.2", "command not recognised")
LINE_TOO_LONG = make(500, "5.5.2", "line too long")
BAD_NEWLINE = make(500, "5.5.2", "a line ends in CRLF, and CR or LF never stand alone")
CONTROL_CHARACTER = make(500, "5.5.2", "control character in a command")
FOREIGN_PROTOCOL = make(500, "5.5.2", "this is a mail server")
AUTH_LINE_TOO_LONG = make(500, "5.5.6", "authentication exchange line too long")

NO_ARGUMENT = make(501, "5.5.4", "this command takes no argument")
ARGUMENT_MISSING = make(501, "5.5.4", "an argument is missing")
NOT_UTF8 = make(501, "5.5.4", "not valid UTF-8")
BAD_CHUNK = make(501, "5.5.4", "BDAT takes a size and LAST, nothing else")
CANCELLED = make(501, "5.0.0", "authentication cancelled")
NOT_BASE64 = make(501, "5.5.2", "not base64")
BAD_AUTH_MESSAGE = make(501, "5.5.2", "not a message of this mechanism")
SERVER_SPEAKS_FIRST = make(501, "5.7.0", "this mechanism takes no initial response")

NOT_IMPLEMENTED = make(502, "5.5.1", "command not available here")
HELLO_FIRST = make(503, "5.5.1", "say hello first")
OUT_OF_ORDER = make(503, "5.5.1", "bad sequence of commands")
NO_VALID_RECIPIENT = make(503, "5.5.1", "no valid recipient")
ALREADY_AUTHENTICATED = make(503, "5.5.1", "already authenticated")
TLS_ACTIVE = make(503, "5.5.1", "TLS is active already")
UNKNOWN_MECHANISM = make(504, "5.5.4", "authentication mechanism not known")
TLS_REQUIRED = make(530, "5.7.0", "must issue a STARTTLS command first")
AUTH_REQUIRED = make(530, "5.7.0", "authentication required")
BAD_CREDENTIALS = make(535, "5.7.8", "authentication credentials invalid")
ENCRYPTION_REQUIRED = make(538, "5.7.11", "encryption required for this mechanism")
NEEDS_SMTPUTF8 = make(553, "5.6.7", "a non-ASCII address needs SMTPUTF8")
OUT_OF_TURN = make(554, "5.5.0", "input ahead of our reply", close=True)
UNKNOWN_PARAMETER = make(555, "5.5.4", "parameter not recognised")

TOO_MANY_RECIPIENTS = make(452, "4.5.3", "too many recipients")
TOO_LARGE = make(552, "5.3.4", "message too large")
HEADER_TOO_LARGE = make(552, "5.3.4", "message header too large")
MAIL_LOOP = make(554, "5.4.6", "too many Received fields: a mail loop")
BARE_NEWLINE = make(550, "5.5.2", "message holds a CR or LF that stands alone")
NUL_IN_MESSAGE = make(550, "5.6.0", "message holds a NUL")
TEXT_LINE_TOO_LONG = make(550, "5.6.0", "message holds a line that is too long")

STORAGE_FULL = make(452, "4.3.1", "insufficient storage")
NO_VERDICT = make(451, "4.3.0", "no verdict; try again later")
HANDLER_TIMED_OUT = make(451, "4.3.0", "took too long; try again later")
CANNOT_AUTHENTICATE_NOW = make(454, "4.7.0", "temporary authentication failure")
PAUSED = make(421, "4.3.2", "not taking mail at the moment; try again later")
SHUTTING_DOWN = make(421, "4.3.2", "shutting down")
TOO_MANY_CONNECTIONS = make(421, "4.3.2", "too many connections; try again later")
TOO_MANY_FROM_ADDRESS = make(421, "4.7.0", "too many connections from your network")
TOO_FAST = make(421, "4.7.0", "too many connections from your network in a short time")
TOO_MANY_GUESSES = make(421, "4.7.0", "too many failed logins from your network")
TOO_MANY_ERRORS = make(421, "4.7.0", "too many errors")
NOT_AUTHENTICATED_IN_TIME = make(421, "4.7.0", "too many commands without authentication")
TOO_MANY_MESSAGES = make(421, "4.7.0", "too many messages on this connection")
TOO_MANY_AUTH_FAILURES = make(421, "4.7.0", "too many authentication failures")
BROKEN = make(421, "4.3.0", "internal error")
DEADLINE_PASSED = make(421, "4.4.2", "you took too long")
