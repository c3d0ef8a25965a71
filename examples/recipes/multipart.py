"""Messages of several parts: pictures, attachments, messages within messages."""

from __future__ import annotations

from urllib.parse import quote

from recipes.building import base64_lines, committed, noise, octets
from recipes.files import pdf, png, zip_archive


@committed
def alternative_inline_images() -> bytes:
    """Text, and HTML that shows two pictures of its own by Content-ID."""
    return octets(
        """
        From: Garden Weekly <garden@example.org>
        To: Bela Sommer <bela@example.net>
        Subject: Two pictures
        Date: Fri, 31 Jan 2025 08:00:00 +0000
        Message-ID: <inline-images.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/alternative; boundary="----=_Alt_0001"

        This is a message in several parts; your program shows only the first.
        ------=_Alt_0001
        Content-Type: text/plain; charset=us-ascii
        Content-Transfer-Encoding: 7bit

        The roses are red, the violets are blue. (Two pictures are in the HTML part.)

        ------=_Alt_0001
        Content-Type: multipart/related; type="text/html"; boundary="----=_Rel_0002"

        ------=_Rel_0002
        Content-Type: text/html; charset=us-ascii
        Content-Transfer-Encoding: 7bit

        <!DOCTYPE html>
        <html><body>
        <p>The roses are <img src="cid:red@example.org" alt="red" width="24" height="24">,
        the violets are <img src="cid:blue@example.org" alt="blue" width="24" height="24">.</p>
        </body></html>

        ------=_Rel_0002
        Content-Type: image/png; name="red.png"
        Content-Transfer-Encoding: base64
        Content-ID: <red@example.org>
        Content-Disposition: inline; filename="red.png"

        $red

        ------=_Rel_0002
        Content-Type: image/png; name="blue.png"
        Content-Transfer-Encoding: base64
        Content-ID: <blue@example.org>
        Content-Disposition: inline; filename="blue.png"

        $blue

        ------=_Rel_0002--

        ------=_Alt_0001--
        """,
        red=base64_lines(png(24, 24, (220, 30, 40))),
        blue=base64_lines(png(24, 24, (60, 40, 210))),
    )


@committed
def pdf_attachment() -> bytes:
    """An invoice as a PDF attachment."""
    return octets(
        """
        From: Billing <billing@example.org>
        To: bela@example.net
        Cc: accounts@example.net
        Subject: Invoice 2025-0042
        Date: Fri, 31 Jan 2025 16:00:00 +0000
        Message-ID: <pdf-attachment.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="=_mixed_42"

        --=_mixed_42
        Content-Type: text/plain; charset=us-ascii

        Please find our invoice attached.

        --=_mixed_42
        Content-Type: application/pdf; name="invoice-2025-0042.pdf"
        Content-Disposition: attachment; filename="invoice-2025-0042.pdf"
        Content-Transfer-Encoding: base64

        $invoice
        --=_mixed_42--
        """,
        invoice=base64_lines(pdf("Invoice 2025-0042", "One kettle, 12.00 EUR", "Thank you.")),
    )


@committed
def zip_attachment() -> bytes:
    """A ZIP archive with two files as an attachment."""
    archive = zip_archive({"read-me.txt": b"Hello from the archive.\r\n", "data/noise.bin": noise(1, 600)})
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: The files you asked for
        Date: Sat, 01 Feb 2025 13:37:00 +0000
        Message-ID: <zip-attachment.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed;
         boundary="a.boundary.with.dots.and'quotes(1)+2/3=4?5 6"

        --a.boundary.with.dots.and'quotes(1)+2/3=4?5 6
        Content-Type: text/plain

        Here they are.

        --a.boundary.with.dots.and'quotes(1)+2/3=4?5 6
        Content-Type: application/zip; name=files.zip
        Content-Disposition: attachment; filename=files.zip; size=$size;
         modification-date="Sat, 01 Feb 2025 13:30:00 +0000"
        Content-Transfer-Encoding: base64

        $archive

        --a.boundary.with.dots.and'quotes(1)+2/3=4?5 6--
        """,
        size=str(len(archive)),
        archive=base64_lines(archive),
    )


@committed
def rfc2231_file_names() -> bytes:
    """Attachments whose names are not ASCII, or very long, or both (RFC 2231)."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: File names
        Date: Sun, 02 Feb 2025 17:00:00 +0000
        Message-ID: <rfc2231-file-names.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary=names

        --names
        Content-Type: text/plain; charset=us-ascii
        Content-Disposition: attachment; filename*=iso-8859-1'fr'caf%E9.txt

        The first one is in French.
        --names
        Content-Type: text/plain; charset=us-ascii
        Content-Disposition: attachment;
         filename="resume.txt"; filename*=UTF-8''$resume

        The second one has a plain name to fall back to.
        --names
        Content-Type: text/plain; charset=us-ascii
        Content-Disposition: attachment;
         filename*0*=UTF-8''$part0;
         filename*1*=$part1;
         filename*2=" (copy 2).txt"

        The third one goes on over three parameters, the last of which is plain.
        --names--
        """,
        resume=quote("résumé – Ωmega.txt"),
        part0=quote("会議の資料と"),
        part1=quote("議事録のまとめ"),
    )


@committed
def nested_messages() -> bytes:
    """A message in a message in a message, forwarded as attachments."""
    return octets("""
        From: cleo@example.org
        To: bela@example.net
        Subject: Fwd: Fwd: Lost umbrella
        Date: Mon, 03 Feb 2025 09:00:00 +0000
        Message-ID: <nested-messages.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="outer"

        --outer
        Content-Type: text/plain

        See the message below.

        --outer
        Content-Type: message/rfc822
        Content-Disposition: attachment; filename="Fwd Lost umbrella.eml"

        From: ada@example.org
        To: cleo@example.org
        Subject: Fwd: Lost umbrella
        Date: Sun, 02 Feb 2025 22:00:00 +0000
        Message-ID: <nested-messages.2@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="inner"

        --inner
        Content-Type: text/plain

        Is it yours?

        --inner
        Content-Type: message/rfc822

        From: office@example.org
        To: ada@example.org
        Subject: Lost umbrella
        Date: Sun, 02 Feb 2025 21:00:00 +0000
        Message-ID: <nested-messages.3@example.org>

        Somebody left an umbrella in room B2.
        .
        It is black.

        --inner--

        --outer--
    """)


@committed
def lookalike_boundaries() -> bytes:
    """Boundaries that differ in one character or in case, and text that resembles them."""
    return octets("""
        From: ada@example.org
        To: bela@example.net
        Subject: Mind the boundary
        Date: Mon, 03 Feb 2025 12:00:00 +0000
        Message-ID: <lookalike-boundaries.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="----=_NextPart_000_0001"

        ----=_NextPart_000_0001 in the preamble has two dashes too few.

        ------=_NextPart_000_0001
        Content-Type: multipart/alternative; boundary="----=_NextPart_000_000I"

        ------=_NextPart_000_000I
        Content-Type: text/plain

        -----=_NextPart_000_0001
         ------=_NextPart_000_0001
        > ------=_NextPart_000_0001--
        ------=_NEXTPART_000_0001
        ------=_NextPart_000_000l
        --\x20
        ------
        --
        ------=_NextPart_000_000I
        Content-Type: multipart/mixed; boundary="----=_nextpart_000_0001"

        ------=_nextpart_000_0001
        Content-Type: text/html

        <!--=_NextPart_000_0001-->
        <p>Still the same part.</p>

        ------=_nextpart_000_0001--

        ------=_NextPart_000_000I--

        ------=_NextPart_000_0001
        Content-Type: text/plain
        Content-Disposition: attachment; filename="empty.txt"


        ------=_NextPart_000_0001--

        An epilogue: ------=_NextPart_000_0001
    """)


@committed
def calendar_invitation() -> bytes:
    """An invitation to a meeting: text, and a calendar object with method=REQUEST."""
    return octets(
        """
        From: Ada Winter <ada@example.org>
        To: Bela Sommer <bela@example.net>, Cleo Herbst <cleo@example.net>
        Subject: Invitation: Kettle committee, Tuesday at ten
        Date: Tue, 04 Feb 2025 10:00:00 +0000
        Message-ID: <calendar-invitation.1@example.org>
        MIME-Version: 1.0
        Content-Class: urn:content-classes:calendarmessage
        Content-Type: multipart/alternative; boundary="cal-1"

        --cal-1
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        Kettle committee – Tuesday, 11 February 2025, 10:00, room B2.

        --cal-1
        Content-Type: text/calendar; charset=utf-8; method=REQUEST; component=VEVENT
        Content-Transfer-Encoding: 8bit

        BEGIN:VCALENDAR
        PRODID:-//Example//Calendar 1.0//EN
        VERSION:2.0
        METHOD:REQUEST
        BEGIN:VEVENT
        UID:kettle-committee-7@example.org
        DTSTAMP:20250204T100000Z
        DTSTART:20250211T100000Z
        DTEND:20250211T110000Z
        SEQUENCE:0
        SUMMARY:Kettle committee – “which one?”
        LOCATION:Room B2
        ORGANIZER;CN=Ada Winter:mailto:ada@example.org
        ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Bela So
         mmer:mailto:bela@example.net
        ATTENDEE;ROLE=OPT-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Cleo He
         rbst:mailto:cleo@example.net
        BEGIN:VALARM
        ACTION:DISPLAY
        TRIGGER:-PT15M
        DESCRIPTION:Kettle committee
        END:VALARM
        END:VEVENT
        END:VCALENDAR

        --cal-1--
        """,
        charset="utf-8",
    )
