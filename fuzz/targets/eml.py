"""Messages: nothing raises, nothing is lost, a Bcc never gets out, and a change changes nothing else."""

from email import message_from_bytes
from email.policy import compat32

from fuzz.source import Source
from smtpx.message.eml import Eml, EmlLimits, Raw
from smtpx.message.html_text import text_of
from smtpx.wire.syntax import has_controls

TOKENS = (
    *(
        b"From: a@b.example\r\n",
        b"To: c@d.example\n",
        b"Bcc: e@f.example\r\n",
        b"Resent-Bcc: x@y\r\n",
        b"Resent-Date: x\n",
    ),
    *(
        b"\r\n\r\n",
        b"\n\n",
        b"\r",
        b"\n ",
        b"From x\n",
        b"Content-Type: multipart/mixed; boundary=B\r\n",
        b"\r\n--B\r\n",
    ),
    *(
        b"\r\n--B--\r\n",
        b"Content-Type: text/html; charset=utf-7\n",
        b"Content-Type: message/rfc822\n",
        b"\xc3\xa4",
        b"\xff",
    ),
    *(b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: quoted-printable\n", b"=?utf-8?q?=0A?="),
    *(
        b"Content-Disposition: attachment; filename*0*=utf-8''%41; filename*1=b\n",
        b"Date: Mon, 2 Feb 2026 10:00:00 +0100\n",
    ),
    *(b"<p>", b"<a href=x>", b"</a>", b"<ul><li>", b"<blockquote>", b"<div hidden>", b"&amp;"),
)
LIMITS = EmlLimits(max_headers=20, max_header_bytes=600, max_depth=3, max_parts=8)


def target(data: bytes) -> None:
    """Control octets: whether limits are low, what the server takes."""
    source = Source(data)
    limits, eight_bit, utf8 = source.choose((LIMITS, None)), source.pick(2) == 1, source.pick(2) == 1
    octets = source.rest()
    eml = Eml(octets, limits)
    assert bytes(eml) == octets, "octets were lost"
    _look(eml)
    _change(eml, limits)
    try:
        sent = b"".join(eml.octets(eight_bit=eight_bit, utf8=utf8))
    except ValueError:
        return
    assert sent.count(b"\n") == sent.count(b"\r\n") == sent.count(b"\r"), "a bare newline"
    assert eight_bit or sent.partition(b"\r\n\r\n")[2].isascii()
    read = message_from_bytes(sent, policy=compat32)
    assert "Bcc" not in read, "a Bcc got out"
    assert "Resent-Bcc" not in read, "a Bcc got out"
    if octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r") and limits is None:
        assert b"".join(Raw(octets, "", "a@b").octets(eight_bit=eight_bit, utf8=utf8)) == sent


def _look(eml: Eml) -> None:
    for field in eml.fields:
        assert not has_controls(field.value.replace("\t", " ")), "a control character in a decoded field"
        eml.addresses(field.name)
    for part in (*eml.attachments, *eml.inline, *eml.alternatives):
        assert "/" not in (part.filename or "")
        assert len(part.content) <= len(part.octets)
    shown = (eml.subject, eml.text, eml.date, eml.message_id, eml.ids("References"), eml.defects, eml.root)
    assert repr(shown)
    text_of(eml.html or eml.text or "").encode()
    try:
        posting = eml.posting()
    except ValueError:
        return
    assert posting.recipients


def _change(eml: Eml, limits: EmlLimits | None) -> None:
    changed = eml.with_added("X-Own", "value", first=True)
    assert [field for field in changed.fields if field.name != "X-Own"][: len(eml.fields)] == [
        field for field in changed.without("x-own").fields if field.name != "X-Own"
    ]
    again = Eml(bytes(changed))
    assert again.header("X-Own") == "value", "what was added is not there"
    assert limits is not None or again.text == changed.text or not eml.fields
