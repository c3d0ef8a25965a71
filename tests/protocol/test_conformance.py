"""The dialogues show every command in every phase, with every kind of reply that it can have there."""

from collections import defaultdict
from collections.abc import Mapping

import pytest

from smtpx.extensions import ALL
from smtpx.protocol.commands import UNAVAILABLE, VERBS
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.phases import TABLE, Phase, allows
from smtpx.wire.codes import Severity
from tests.protocol.house_peer import Turn, record
from tests.protocol.test_dialogues import ABOUT_TIMING, DIALOGUES

P, OK, GO, TMP, PERM = Phase, Severity.COMPLETED, Severity.CONTINUE, Severity.TEMPORARY, Severity.PERMANENT
TURNS = [turn for each in DIALOGUES if each.name not in ABOUT_TIMING for turn in record(each)]
EXTENSIONS = ExtensionSet(ALL)
OWN = sorted({*VERBS, *EXTENSIONS.verbs, "BDAT LAST"})
READING = (P.HELLO, P.READY, P.SENDER, P.RECIPIENTS, P.CHUNKS)
IN_MAIL = (P.SENDER, P.RECIPIENTS, P.CHUNKS)
NEVER_EXPANDS = "EXPN is 502: lists are nobody's business"
HARMLESS = "always done: only 421 refuses it"
ANY_ARGUMENT = "takes any argument, and nothing in a transaction can forbid it"

# Replies that the table knows, and this server never gives. A client may meet them all the same.
IMPOSSIBLE: Mapping[tuple[Phase, str, Severity], str] = {
    **{(phase, "EXPN", severity): NEVER_EXPANDS for phase in READING for severity in (OK, TMP)},
    **{(phase, verb, TMP): HARMLESS for phase in READING for verb in ("RSET", "QUIT", "NOOP", "VRFY", "HELP")},
    **{(phase, "NOOP", PERM): "takes any argument, also before TLS" for phase in READING},
    **{(phase, "HELP", PERM): ANY_ARGUMENT for phase in IN_MAIL},
    **{(phase, "STARTTLS", TMP): "there is a certificate or there is none" for phase in READING[1:]},
    (P.RECIPIENTS, "DATA", TMP): "nobody is asked about DATA: mail and rcpt are the places to refuse",
    (P.TLS, "HANDSHAKE", TMP): "a handshake has no replies; test_connection.py shows one that fails",
    (P.TLS, "HANDSHAKE", PERM): "a handshake has no replies; test_connection.py shows one that fails",
}


def codes(turns: list[Turn]) -> Mapping[tuple[Phase, str], set[int]]:
    """The codes of the replies to each command in each phase."""
    found: dict[tuple[Phase, str], set[int]] = defaultdict(set)
    for turn in turns:
        found[turn.phase, turn.command].add(turn.reply.code)
    return found


def shown(turns: list[Turn]) -> set[tuple[Phase, str, Severity]]:
    """The rows of the table that are shown. 421 leaves it from everywhere; it counts only where all refusals close."""
    found: set[tuple[Phase, str, Severity]] = set()
    for (phase, command), replies in codes(turns).items():
        for code in replies:
            severity = Severity(code // 100)
            if code != 421 or TABLE.get((phase, command), {}).get(severity) is P.CLOSED:
                found.add((phase, command, severity))
    return found


ROWS = {(phase, command, severity) for (phase, command), row in TABLE.items() for severity in row}


def missing(turns: list[Turn]) -> list[str]:
    """The rows that are not shown, and could be."""
    rows = ROWS - shown(turns) - set(IMPOSSIBLE)
    return sorted(f"{phase.name} {command} {severity.value}yz" for phase, command, severity in rows)


def test_every_row_of_the_table_is_shown() -> None:
    assert missing(TURNS) == []


def test_a_row_that_is_not_shown_would_be_noticed() -> None:
    without = [turn for turn in TURNS if (turn.phase, turn.command, turn.reply.code) != (P.CHUNKS, "RSET", 250)]
    assert missing(without) == ["CHUNKS RSET 2yz"]
    only_421 = [turn for turn in TURNS if turn.command != "MAIL" or turn.reply.code in (250, 421)]
    assert missing(only_421) == ["READY MAIL 4yz", "READY MAIL 5yz"]


def test_nothing_that_is_said_to_be_impossible_happens() -> None:
    assert set(IMPOSSIBLE) <= ROWS
    assert not set(IMPOSSIBLE) & shown(TURNS)


@pytest.mark.parametrize("phase", READING)
def test_rfc5321_4_1_4_every_command_out_of_order_is_503(phase: Phase) -> None:
    found = codes(TURNS)
    assert [verb for verb in OWN if not allows(phase, verb) and 503 not in found[phase, verb]] == []


@pytest.mark.parametrize("phase", READING)
def test_every_verb_of_an_extension_is_said_in_every_phase(phase: Phase) -> None:
    assert [verb for verb in EXTENSIONS.verbs if not codes(TURNS)[phase, verb]] == []


@pytest.mark.parametrize("verb", sorted({*EXTENSIONS.verbs} - {command for _, command in TABLE}))
def test_verbs_that_the_table_does_not_know_are_taken_and_refused(verb: str) -> None:
    found = {code // 100 for phase in READING for code in codes(TURNS)[phase, verb]}
    assert found == {2, 5}


@pytest.mark.parametrize("verb", sorted({*UNAVAILABLE} - {*EXTENSIONS.verbs}))
def test_every_known_verb_that_nobody_has_is_502(verb: str) -> None:
    assert {code for (_, command), replies in codes(TURNS).items() if command == verb for code in replies} == {502}


@pytest.mark.parametrize("phase", [P.BANNER, *READING, P.BODY, P.AUTH])
def test_rfc5321_3_8_421_closes_from_everywhere(phase: Phase) -> None:
    assert [turn for turn in TURNS if turn.phase is phase and turn.reply.code == 421]


# Extensions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyword", sorted(EXTENSIONS.keywords))
def test_every_extension_is_offered(keyword: str) -> None:
    offers = {line.partition(" ")[0] for turn in TURNS if turn.reply.code == 250 for line in turn.reply.lines[1:]}
    assert keyword in offers


PARAMETERS = [
    *(("MAIL", name) for name in EXTENSIONS.mail_params),
    *(("RCPT", name) for name in EXTENSIONS.rcpt_params),
]


@pytest.mark.parametrize(("verb", "name"), PARAMETERS)
def test_every_parameter_is_taken_refused_and_not_known(verb: str, name: str) -> None:
    """250; 501 for a bad value; 555 where it is not offered."""
    found = {
        turn.reply.code
        for turn in TURNS
        if turn.command == verb and any(word.partition("=")[0].upper() == name for word in turn.line.split(" "))
    }
    assert found >= {250, 501, 555}
