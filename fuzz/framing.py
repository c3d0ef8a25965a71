"""Where commands, content and answers begin and end, by the plainest reading of the RFCs: what a server is measured by.

Knows what was sent, and for each command the reply to it; never how the server came to say so. If somebody can make
server and model differ about where a message ends, he can smuggle another one into it.
"""

import re
from dataclasses import dataclass

from fuzz import reference
from fuzz.session import Message, Peer
from smtpx.protocol.settings import ServerSettings

__all__ = ["check", "replies_in"]

_SIZE = re.compile(r"[0-9]{1,20}")


def replies_in(octets: bytes) -> list[int]:
    """The codes of the replies in what a server sent; nothing but whole replies, whose lines are in order."""
    codes: list[int] = []
    *lines, rest = octets.split(b"\r\n")
    assert rest == b"", "half a line was sent"
    within = ""
    for line in lines:
        match = re.fullmatch(rb"([2-5][0-9]{2})([ -])[ -~]*", line)
        assert match is not None, f"no line of a reply: {line!r}"
        assert len(line) <= 510
        code = match[1].decode()
        assert within in ("", code), "a reply within another"
        within = code if match[2] == b"-" else ""
        if not within:
            codes.append(int(code))
    assert not within, "half a reply was sent"
    return codes


def check(peer: Peer, octets: bytes) -> None:
    """See that what `peer` made of the octets is what stands there.

    Raises:
        AssertionError: for a command without a reply or with two, a message that is none, or other content.
    """
    model = _Model(peer.settings, octets, replies_in(peer.sent), is_closed=peer.protocol.is_closed)
    model.walk()
    assert [(each.recipients, each.content) for each in model.messages] == [
        (each.recipients, each.content) for each in peer.messages
    ], "other messages were taken than were sent"
    for mine, theirs in zip(model.messages, peer.messages, strict=True):
        assert theirs.sender in mine.sender
    if not peer.protocol.is_closed:
        assert peer.protocol.in_transaction == (model.sender is not None), "another transaction"
        assert [str(each) for each in peer.protocol.recipients] == model.recipients


@dataclass
class _Model:
    settings: ServerSettings
    octets: bytes
    codes: list[int]
    is_closed: bool

    def __post_init__(self) -> None:
        assert self.codes.pop(0) == 220
        self.messages: list[Message] = []
        self.position = 0
        self._in_auth = False
        self._forget()

    def _forget(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.chunks = b""
        self.is_binary = False

    def walk(self) -> None:
        while self._step():
            pass
        # One reply may stand alone: that to what has no end, or to what can be no command.
        assert len(self.codes) <= self.is_closed, f"replies that nobody asked for: {self.codes}"

    def _step(self) -> bool:
        line = self._line()
        if line is None:
            return False
        text = line.decode("utf-8", "surrogateescape")
        verb, _, argument = text.partition(" ")
        verb, argument = verb.upper(), argument.strip(" ")
        if verb == "BDAT" and not self._in_auth:
            return self._chunk(argument)
        code = self._reply()
        if code is None:
            return False
        was_in_auth, self._in_auth = self._in_auth, code == 334
        assert code != 334 or was_in_auth or verb == "AUTH"
        if was_in_auth:
            assert code != 354
        elif code == 354:
            assert verb == "DATA"
            assert self.recipients, "content for nobody"
            return self._data()
        elif code < 300:
            self._done(verb, argument)
        return True

    def _line(self) -> bytes | None:
        """The next line without its end; None when the server must have closed, or has to wait."""
        end = self.octets.find(b"\n", self.position)
        if end < 0:
            return None
        line = self.octets[self.position : end + 1]
        self.position = end + 1
        text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        has_bare = b"\r" in text or (not line.endswith(b"\r\n") and self.settings.bare_newline == "reject")
        if has_bare:
            assert self.is_closed, "went on behind a bare newline"
            return None
        return text

    def _reply(self) -> int | None:
        if not self.codes:
            assert self.is_closed, "a command without a reply"
            return None
        return self.codes.pop(0)

    def _done(self, verb: str, argument: str) -> None:
        if verb == "MAIL":
            assert self.sender is None, "a sender within a transaction"
            self.sender = argument
            self.is_binary = "BODY=BINARYMIME" in argument.upper()
        elif verb == "RCPT":
            assert self.sender is not None
            self.recipients.append(_address(argument))
        elif verb in ("RSET", "EHLO", "HELO", "LHLO", "STARTTLS", "XCLIENT"):
            self._forget()

    def _chunk(self, argument: str) -> bool:
        words = [word for word in argument.split(" ") if word]
        size = int(words[0]) if words and argument.startswith(words[0]) and _SIZE.fullmatch(words[0]) else None
        if size is None or self.position + size > len(self.octets):
            # Not all here, or nobody knows where it ends: then the connection must.
            assert size is not None or self.is_closed, "went on behind a chunk of unknown size"
            return False
        content = self.octets[self.position : self.position + size]
        last = len(words) == 2 and words[1] in _LAST
        is_good = len(words) == 1 or last
        open_chunks = self.recipients and is_good
        if last and self.recipients:
            self.position += size
            return self._end(self.chunks + content, stuffed=False)
        code = self._reply()
        if code is None:
            return False
        self.position += size
        if code < 300:
            assert open_chunks, "a chunk for nobody"
            self.chunks += content
        elif self.recipients or (self.sender is not None and not is_good):
            self._forget()
        return True

    def _data(self) -> bool:
        found = reference.end_of_data(self.octets[self.position :])
        if found is None:
            return False
        content, behind = found
        self.position = len(self.octets) - len(behind)
        return self._end(content, stuffed=True)

    def _end(self, raw: bytes, *, stuffed: bool) -> bool:
        count = len(self.recipients) if self.settings.dialect.verdict_per_recipient else 1
        codes, self.codes = self.codes[:count], self.codes[count:]
        if len(codes) < count:
            assert self.is_closed, "a message without a verdict"
        positive = [code < 300 for code in codes]
        good = self.recipients if count == 1 and positive == [True] else self.recipients[:0]
        if self.settings.dialect.verdict_per_recipient:
            good = [to for to, is_good in zip(self.recipients, positive, strict=False) if is_good]
        if good:
            assert self.sender is not None
            self.messages.append(Message(self.sender, tuple(good), self._content(raw, stuffed=stuffed)))
        self._forget()
        return len(codes) == count

    def _content(self, raw: bytes, *, stuffed: bool) -> bytes:
        """What a message that was taken must be."""
        limits = self.settings.limits
        if self.is_binary:
            assert not stuffed, "binary content by DATA"
            content = raw
        elif self.settings.bare_newline == "normalize":
            content = reference.repaired(raw, stuffed=stuffed)
        else:
            content = reference.unstuffed(raw) if stuffed else raw
            assert reference.bare_newline(raw) is None, "bare newlines were taken"
        assert self.is_binary or self.settings.nul == "keep" or b"\0" not in content
        assert limits.max_message_bytes is None or len(content) <= limits.max_message_bytes
        return content


_LAST = frozenset("".join((a, b, c, d)) for a in "lL" for b in "aA" for c in "sS" for d in "tT")


def _address(argument: str) -> str:
    """The mailbox in a RCPT that was accepted, as it stands there, without a source route and the dot of a root."""
    text = argument[3:].strip(" ")
    if not text.startswith("<"):
        return re.split(" ", text)[0].removesuffix(".")
    match = re.match(r'<(?:@[^:"]*(?:\[[^\]]*\][^:"]*)*:)?((?:"(?:\\.|[^"\\])*"|[^">])*)>', text)
    assert match is not None, "no path, and accepted"
    return match[1].removesuffix(".")
