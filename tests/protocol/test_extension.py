"""The interface of extensions, and sets of them."""

from collections.abc import Mapping

import pytest

from smtpx.errors import ConfigurationError, LocalProtocolError, UnsupportedError
from smtpx.protocol import replies
from smtpx.protocol.events import MailAsked, VerbAsked
from smtpx.protocol.extension import Conversation, Extension, ExtensionSet, MailFacts, VerbHandler, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.server import ServerProtocol
from smtpx.wire.address import Mailbox
from smtpx.wire.params import NO_PARAMS, Param, Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError
from tests.protocol.server_peer import (
    EHLO,
    ENVELOPE,
    EXTENSIONS,
    MAIL,
    RCPT,
    answering,
    ends,
    make_settings,
    play,
    survives,
)

COLOUR: Param[str] = Param("XCOLOUR", lambda value: value or "", str)
NO = replies.make(550, "5.7.1", "not this one")


def paint(conversation: Conversation, argument: str | None) -> None:
    if argument == "ask":
        conversation.ask_session("XPAINT", argument)
    else:
        conversation.reply(replies.OK)


class Paint(Extension):
    keyword = "XPAINT"
    mail_params = (COLOUR,)
    rcpt_params = (COLOUR,)

    def verbs(self) -> Mapping[str, VerbHandler]:
        return {"XPAINT": paint}

    def check_mail(self, conversation: Conversation, sender: Mailbox, params: Params) -> Reply | None:
        opinions = {"red": NO, "gold": replies.make(250, "2.3.6", "golden")}
        return opinions.get(params.get(COLOUR) or "")

    def check_rcpt(self, conversation: Conversation, recipient: Mailbox, params: Params) -> Reply | None:
        return NO if COLOUR in params and params.get(COLOUR) == conversation.mail_params.get(COLOUR) else None

    def check_data(self, conversation: Conversation) -> Reply | None:
        return NO if conversation.mail_params.get(COLOUR) == "grey" else None


class Quiet(Extension):
    keyword = "XQUIET"

    def advertise(self, settings: object, facts: ServerFacts) -> str | None:
        return None if facts.tls is None else ""


SETTINGS = make_settings(extensions=[*EXTENSIONS, Paint(), Quiet()])
COLOURED = "MAIL FROM:<a@client.example> XCOLOUR={}\r\n"


def test_an_extension_does_nothing_by_itself() -> None:
    plain = Extension()
    assert plain.verbs() == {}
    assert plain.advertise(SETTINGS, ServerFacts()) == ""
    assert plain.dress_mail(MailFacts(), None) == ()
    assert plain.dress_rcpt({}, ()) == ()
    assert repr(Paint()) == "<Paint XPAINT>"


def test_checks_that_do_nothing_are_never_asked() -> None:
    everything = ExtensionSet([*EXTENSIONS, Paint()])
    assert len(everything.data_checks) == 1
    assert len(everything.rcpt_checks) == 1
    assert len(everything.mail_checks) == 3  # 8BITMIME and SIZE have an opinion too


def test_base_checks_have_no_opinion() -> None:
    plain = Extension()
    conversation = ServerProtocol(SETTINGS)
    assert plain.check_mail(conversation, Mailbox("a", "b"), NO_PARAMS) is None
    assert plain.check_rcpt(conversation, Mailbox("a", "b"), NO_PARAMS) is None
    assert plain.check_data(conversation) is None


def test_keywords() -> None:
    extensions = ExtensionSet([Paint(), Quiet()])
    assert "XPAINT" in extensions
    assert "XQUIET" in extensions
    assert "SIZE" not in extensions
    assert extensions.keyword_lines(SETTINGS, ServerFacts()) == ["XPAINT"]


class Shared(Extension):
    keyword = "XSHARED"
    mail_params = (COLOUR,)
    rcpt_params = (COLOUR,)


def test_the_very_same_parameter_may_be_shared() -> None:
    extensions = ExtensionSet([Paint(), Shared()])
    assert extensions.mail_params == extensions.rcpt_params == {"XCOLOUR": COLOUR}


def test_an_extension_fits_only_once() -> None:
    paint = Paint()
    with pytest.raises(ConfigurationError, match="the keyword XPAINT"):
        ExtensionSet([paint, paint])


class SameKeyword(Extension):
    keyword = "xpaint"


class SameMail(Extension):
    keyword = "XA"
    mail_params = (Param("xcolour", str, str),)


class SameRcpt(Extension):
    keyword = "XB"
    rcpt_params = (Param("xcolour", str, str),)


class SameVerb(Extension):
    keyword = "XC"

    def verbs(self) -> Mapping[str, VerbHandler]:
        return {"XPAINT": paint}


@pytest.mark.parametrize("other", [SameKeyword(), SameMail(), SameRcpt(), SameVerb()])
def test_two_extensions_that_claim_the_same(other: Extension) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)two extensions claim the .*(xpaint|xcolour)"):
        ExtensionSet([Paint(), other])


def test_own_parameters_and_checks() -> None:
    outcome = survives(EHLO, COLOURED.format("red"), COLOURED.format("blue"), settings=SETTINGS)
    assert outcome.codes == ["250", "550 5.7.1", "250 2.1.0"]
    same, other = (RCPT.replace("\r\n", f" XCOLOUR={colour}\r\n") for colour in ("blue", "green"))
    outcome = survives(EHLO, COLOURED.format("blue"), same, other, settings=SETTINGS)
    assert outcome.codes[2:] == ["550 5.7.1", "250 2.1.5"]


def test_a_check_that_answers_in_place_of_the_usual() -> None:
    outcome = survives(EHLO, COLOURED.format("gold"), settings=SETTINGS)
    assert outcome.codes[1:] == ["250 2.3.6"]
    assert outcome.replies[1].text == "golden"
    assert survives(EHLO, COLOURED.format("gold"), settings=SETTINGS, policy=answering(MailAsked, NO)).codes[1:] == [
        "550 5.7.1"
    ]


def test_what_a_client_wishes_is_checked_before_it_goes() -> None:
    number: Param[int] = Param("XN", lambda value: int(value or "") if value != "13" else _unlucky(), str)
    assert dress("XK", "mail", {number: None}, None) == []
    assert dress("XK", "mail", {number: 5, COLOUR: "red"}, ()) == ["XN=5", "XCOLOUR=red"]
    with pytest.raises(UnsupportedError, match="offers no XK for XN, XCOLOUR") as caught:
        dress("XK", "mail", {number: 5, COLOUR: "red"}, None)
    assert (caught.value.keyword, caught.value.stage) == ("XK", "mail")
    with pytest.raises(LocalProtocolError, match="unlucky") as local:
        dress("XK", "rcpt", {number: 13}, ())
    assert local.value.stage == "rcpt"


def _unlucky() -> int:
    raise WireError(Fault.ARGUMENT, "unlucky")


def test_a_check_of_data() -> None:
    outcome = survives(EHLO, COLOURED.format("grey"), RCPT, "DATA\r\n", settings=SETTINGS)
    assert outcome.codes[3:] == ["550 5.7.1"]
    assert play(EHLO, ENVELOPE, "DATA\r\n", settings=SETTINGS).codes[-1] == "354"


def test_own_verb() -> None:
    outcome = survives("XPAINT\r\n", EHLO, "XPAINT\r\n", MAIL, "xpaint x\r\n", settings=SETTINGS)
    assert outcome.codes == ["503 5.5.1", "250", "250 2.0.0", "250 2.1.0", "250 2.0.0"]
    assert survives(EHLO, "XPAINT \u00fc\r\n".encode("latin-1"), settings=SETTINGS).codes == ["250", "501 5.5.4"]


def test_own_verb_for_the_session() -> None:
    outcome = survives(EHLO, "XPAINT ask\r\n", settings=SETTINGS)
    assert outcome.codes == ["250", "502 5.5.1"]
    assert outcome.of(VerbAsked) == [VerbAsked("XPAINT", "ask")]
    done = replies.make(220, "2.0.0", "painted")
    outcome = survives(EHLO, "XPAINT ask\r\n", settings=SETTINGS, policy=answering(VerbAsked, done))
    assert outcome.codes == ["250", "220 2.0.0"]
    outcome = ends(EHLO, "XPAINT ask\r\n", settings=SETTINGS, policy=answering(VerbAsked, replies.SHUTTING_DOWN))
    assert outcome.codes == ["250", "421 4.3.2"]
