"""How a server reads commands: a line, what it may be, and whether it is in order; then its handler."""

from typing import TYPE_CHECKING

from smtpx.protocol import commands, replies
from smtpx.protocol.events import LimitHit
from smtpx.wire.commands import is_foreign, parse_command
from smtpx.wire.lines import Lines
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import WireError, has_controls

if TYPE_CHECKING:
    from smtpx.protocol.server import ServerProtocol

__all__ = ["CommandReader"]


class CommandReader:
    """Reads one connection's commands."""

    __slots__ = ("_first", "_lines", "_machine", "_synchronous")

    def __init__(self, machine: "ServerProtocol", lines: Lines) -> None:
        self._machine = machine
        self._lines = lines
        self._synchronous = commands.SYNCHRONOUS[machine.settings.sync_check]
        self._first = True

    def read(self) -> bool:
        """Read a line and do what it says; False if there is none."""
        machine, lines = self._machine, self._lines
        if self._first and (octet := lines.peek()) is not None:
            self._first = False
            if _is_foreign_octet(octet):
                self._end_foreign()
                return True
        try:
            raw = lines.next_line()
        except WireError as error:
            if not machine.closes_for(error):
                machine.limit_hit("max_command_line_bytes")
                self._refuse_unread(lines.long_line_head, replies.LINE_TOO_LONG)
            return True
        if raw is None:
            return False
        machine.conduct.commands += 1
        if machine.watcher is not None:
            machine.watcher.heard(raw)
        if len(raw) + 2 > machine.settings.limits.max_command_line_bytes and raw[:5].upper() != b"AUTH ":
            machine.limit_hit("max_command_line_bytes")
            self._refuse_unread(raw, replies.LINE_TOO_LONG)
            return True
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            self._refuse_unread(raw, self._not_utf8(raw))
            return True
        if has_controls(line):
            self._refuse_unread(raw, replies.CONTROL_CHARACTER)
        else:
            self._dispatch(line)
        return True

    def _refuse_unread(self, raw: bytes, reply: Reply) -> None:
        """Unless nothing behind the line can be trusted: it is foreign, or a BDAT of unknown size."""
        line = raw.decode("latin-1")
        if is_foreign(line, self._machine.settings.foreign_verbs):
            self._end_foreign()
        elif line[:4].upper() == "BDAT" and not line[4:5].isalnum():
            self._machine.close(replies.BAD_CHUNK, "a chunk of unknown size")
        else:
            self._machine.reply(reply)

    def _end_foreign(self) -> None:
        self._machine.emit(LimitHit("foreign_verbs", 0))
        self._machine.close(replies.FOREIGN_PROTOCOL, "not SMTP")

    def _not_utf8(self, raw: bytes) -> Reply:
        command = parse_command(raw.decode("ascii", "replace"))
        verb = command.verb if command is not None else ""
        known = verb in commands.VERBS or verb in self._machine.settings.extensions.verbs
        return replies.NOT_UTF8 if known else replies.BAD_LINE

    def _dispatch(self, line: str) -> None:
        machine, settings = self._machine, self._machine.settings
        if is_foreign(line, settings.foreign_verbs):
            self._end_foreign()
            return
        command = parse_command(line)
        ending = machine.conduct.judge_stranger(settings.limits) if machine.facts.identity is None else None
        if ending is not None:
            machine.close(*ending)
        elif command is None:
            machine.reply(replies.BAD_LINE)
        else:
            self._run(command.verb, command.argument)

    def _run(self, verb: str, argument: str | None) -> None:
        machine = self._machine
        handler = commands.VERBS.get(verb) or machine.settings.extensions.verbs.get(verb)
        if handler is None:
            commands.UNAVAILABLE.get(verb, commands.unknown)(machine, argument)
        elif verb in self._synchronous and self._lines.has_input:
            machine.close(replies.OUT_OF_TURN, f"input behind {verb}")
        elif verb != "BDAT" and (refusal := machine.refusal(verb)) is not None:
            if verb == "DATA":
                machine.refuse_data(refusal)
            else:
                machine.reply(refusal)
        else:
            handler(machine, argument)


def _is_foreign_octet(octet: int) -> bool:
    """A control character or an octet above 0x7F begins no line of SMTP, so no line end is waited for."""
    return octet >= 0x7F or (octet < 0x20 and octet not in b"\t\r\n")
