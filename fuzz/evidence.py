"""What a client may believe: its octets and a server's replies, paired by the plainest reading of the RFCs."""

from dataclasses import dataclass, field

from fuzz import reference

__all__ = ["Transaction", "naive_replies", "transactions"]


@dataclass
class Transaction:
    """One MAIL and what followed it: each RCPT with the code of its reply, the content, and the codes behind it."""

    recipients: list[tuple[str, int | None]] = field(default_factory=list[tuple[str, int | None]])
    content: bytes | None = None
    verdicts: list[int | None] = field(default_factory=list[int | None])

    def accepted(self, *, per_recipient: bool) -> list[str]:
        """Who has it, by these replies."""
        taken = [address for address, code in self.recipients if code is not None and code < 300]
        if not per_recipient:
            return taken if [code for code in self.verdicts if code is not None and code < 300] else []
        pairs = zip(taken, self.verdicts, strict=False)
        return [address for address, code in pairs if code is not None and code < 300]


def naive_replies(octets: bytes) -> list[int]:
    """Codes of the replies in octets, up to what is none."""
    codes: list[int] = []
    for line in octets.split(b"\r\n")[:-1]:
        if not line[:3].isdigit() or line[3:4] not in (b"", b" ", b"-"):
            break
        if line[3:4] != b"-":
            codes.append(int(line[:3]))
    return codes


def transactions(said: bytes, codes: list[int], *, per_recipient: bool) -> list[Transaction]:
    """Pair what a client said with the replies that it got, the first of which is the greeting."""
    return _Pairing(said, codes, per_recipient).walk()


class _Pairing:
    def __init__(self, said: bytes, codes: list[int], per_recipient: bool) -> None:
        self._said = said
        self._codes = list(codes[1:])
        self._per_recipient = per_recipient
        self._found: list[Transaction] = []
        self._is_answering = False  # the next line answers an AUTH challenge

    def walk(self) -> list[Transaction]:
        while b"\r\n" in self._said:
            line, _, self._said = self._said.partition(b"\r\n")
            verb, _, argument = line.decode().partition(" ")
            code = None
            if verb != "BDAT" or self._is_answering:
                code = self._next()
            if self._is_answering:
                self._is_answering = code == 334
            else:
                self._take(verb, argument, code)
        return self._found

    def _next(self) -> int | None:
        return self._codes.pop(0) if self._codes else None

    def _take(self, verb: str, argument: str, code: int | None) -> None:
        if verb == "AUTH":
            self._is_answering = code is not None and 300 <= code < 400
        elif verb == "MAIL":
            self._found.append(Transaction())
        elif verb == "RCPT":
            self._found[-1].recipients.append((argument.partition("<")[2].partition(">")[0], code))
        elif verb == "BDAT":
            self._chunk(argument)
        elif verb == "DATA" and code is not None and 300 <= code < 400:
            content, self._said = reference.end_of_data(self._said) or (b"", b"")
            self._end(reference.unstuffed(content))

    def _chunk(self, argument: str) -> None:
        size, _, last = argument.partition(" ")
        content, self._said = self._said[: int(size)], self._said[int(size) :]
        content = (self._found[-1].content or b"") + content
        if last == "LAST":
            self._end(content)
        else:
            self._found[-1].content = content
            self._next()

    def _end(self, content: bytes) -> None:
        transaction = self._found[-1]
        taken = [code for _, code in transaction.recipients if code is not None and code < 300]
        count = max(len(taken), 1) if self._per_recipient else 1
        transaction.content = content
        transaction.verdicts = [self._next() for _ in range(count)]
