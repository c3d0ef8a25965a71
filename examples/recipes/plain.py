"""Messages of one text part, in ASCII or in an encoding that makes it so."""

from __future__ import annotations

from recipes.building import (
    LONGEST_LINE,
    base64_lines,
    committed,
    octets,
    quoted_printable,
)


@committed
def plain_ascii() -> bytes:
    """The simplest thing that is a letter: ASCII, no MIME at all."""
    return octets("""
        From: Ada Winter <ada@example.org>
        To: Bela Sommer <bela@example.net>
        Subject: Tuesday's meeting
        Date: Tue, 14 Jan 2025 09:30:00 +0000
        Message-ID: <plain-ascii.1@example.org>

        Hello Bela,

        the room is booked from ten to twelve. Please bring the plans.

        Ada
    """)


@committed
def format_flowed() -> bytes:
    """Format=flowed: lines that end in a space go on, quotes, a signature."""
    return octets("""
        From: Ada Winter <ada@example.org>
        To: bela@example.net
        Subject: Re: Which kettle?
        Date: Wed, 15 Jan 2025 08:01:12 +0100
        Message-ID: <format-flowed.1@example.org>
        In-Reply-To: <kettle.0@example.net>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=us-ascii; format=flowed; delsp=no

        On Tuesday Bela wrote:
        > The old kettle takes four minutes, and by then everybody has gone\x20
        > back to work.
        >> Do we need a new one?
         >this line was stuffed with a space, because it begins with a quote mark

        I think we do. A line that ends in a space is joined with the next\x20
        one when it is shown, so that this paragraph fits every window that\x20
        it is read in.
         From here on, "From" at the start of a line is stuffed too.

        --\x20
        Ada
    """)


@committed
def quoted_printable_soft_breaks() -> bytes:
    """Quoted-printable with soft line breaks, equals signs and white space at line ends."""
    text = (
        "Grüße aus Köln! Diese Zeile ist so lang, dass sie mehr als einmal weich umbrochen "
        "werden muss, und zwar mitten im Wort, wenn es sich so trifft – ärgerlich, aber erlaubt.\n"
        "a = b; c == d; =41 ist kein A\n"
        "Leerzeichen am Ende: \n"
        "Tabulator am Ende:\t\n"
        "\n"
        ".\n"
        "Preis: 12 € oder £ 10"
    )
    return octets(
        """
        From: =?utf-8?Q?J=C3=BCrgen_Gro=C3=9F?= <juergen@example.org>
        To: ada@example.net
        Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=
        Date: Thu, 16 Jan 2025 18:22:40 +0100
        Message-ID: <quoted-printable.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset="utf-8"
        Content-Transfer-Encoding: quoted-printable

        $text
        """,
        text=quoted_printable(text),
    )


@committed
def base64_body() -> bytes:
    """A text body in base64, every line but the last of exactly 76 characters."""
    text = "".join(f"{n:3d}. A line of text that nobody can read on the wire.\r\n" for n in range(1, 61))
    return octets(
        """
        From: reports@example.org
        To: bela@example.net
        Subject: Sixty lines, in base64
        Date: Fri, 17 Jan 2025 00:00:01 +0000
        Message-ID: <base64-body.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: base64

        $text
        """,
        text=base64_lines(text.encode("ascii")),
    )


@committed
def empty_body() -> bytes:
    """Headers, an empty line, and nothing after it."""
    return octets("""
        From: ada@example.org
        To: bela@example.net
        Subject: Call me back (no text)
        Date: Fri, 17 Jan 2025 11:45:09 +0000
        Message-ID: <empty-body.1@example.org>

    """)


@committed
def headers_only() -> bytes:
    """Not even the empty line: RFC 5322 lets a message be headers alone."""
    return octets("""
        From: meter@example.org
        To: readings@example.net
        Subject: kWh=18274.3
        Date: Fri, 17 Jan 2025 12:00:00 +0000
        Message-ID: <headers-only.1@example.org>
    """)


@committed
def blank_lines() -> bytes:
    """Empty lines before, within and after the text, and white space at line ends."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: Room to breathe
        Date: Sat, 18 Jan 2025 10:10:10 +0000
        Message-ID: <blank-lines.1@example.org>



        Three empty lines above, four spaces on the next:
        $spaces
        a TAB on the next:
        $tab
        trailing spaces here \x20\x20

        and five empty lines to end with:





        """,
        spaces=" " * 4,
        tab="\t",
    )


@committed
def from_lines() -> bytes:
    """Lines that begin with "From ", which mbox files must quote and SMTP must not."""
    return octets("""
        From: ada@example.org
        To: bela@example.net
        Subject: Postcards
        Date: Sat, 18 Jan 2025 16:20:00 +0000
        Message-ID: <from-lines.1@example.org>

        From here the sea looks grey.
        >From here too.
        >>From the mountains there is no news.

        From ada@example.org Sat Jan 18 16:20:00 2025
        Subject: this looks like the next message of an mbox file, but is text
    """)


@committed
def odd_controls() -> bytes:
    """Control characters that RFC 5322 allows in a body: form feed, TAB, bell, escape."""
    return octets(
        """
        From: printer@example.org
        To: bela@example.net
        Subject: Page one and two
        Date: Sun, 19 Jan 2025 07:00:00 +0000
        Message-ID: <odd-controls.1@example.org>

        Column one\tColumn two\tColumn three
        $page
        Page two, after a form feed.\v and a vertical tab
        Bold by overstriking: B\bBo\bol\bld\bd
        Bold by escape sequence: \x1b[1mbold\x1b[0m
        Bell: \a  Start of heading: \x01  Substitute: \x1a  Delete: \x7f
        $separators
        """,
        page="\f",
        separators="\x1c\x1d\x1e\x1f",
    )


@committed
def lines_of_998() -> bytes:
    """Lines of exactly 998 octets: in the header, in the body, with a dot, with 8 bits."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: As long as a line may be
        Date: Sun, 19 Jan 2025 20:00:00 +0000
        Message-ID: <lines-of-998.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit
        $header

        The next line has 998 octets, as has the header above.
        $digits
        The next one begins with a dot, so that it has 999 on the wire.
        $dot
        The next one has 998 dots.
        $dots
        And here 499 letters of two octets each.
        $letters
        """,
        charset="utf-8",
        header="X-Longest: ".ljust(LONGEST_LINE, "x"),
        digits=("0123456789" * 100)[:LONGEST_LINE],
        dot=".".ljust(LONGEST_LINE, "y"),
        dots="." * LONGEST_LINE,
        letters="é" * (LONGEST_LINE // 2),
    )


@committed
def lines_of_dots() -> bytes:
    """Every shape of a line with dots; the body begins with one and ends with one."""
    return octets(
        """
        From: ada@example.org
        To: bela@example.net
        Subject: . .. ...
        Date: Mon, 20 Jan 2025 06:30:00 +0000
        Message-ID: <lines-of-dots.1@example.org>

        .
        ..
        ...
        ....
        .x
        ..x
        x.
        x
        . .
        .\x20
         .
        .\tTAB

        .

        $triangle
        .
        """,
        triangle="\n".join("." * n for n in range(1, 80)),
    )


@committed
def first_line_dot() -> bytes:
    """The first body line begins with a dot, as in a roff manual page."""
    return octets("""
        From: manuals@example.org
        To: bela@example.net
        Subject: kettle(1)
        Date: Mon, 20 Jan 2025 06:45:00 +0000
        Message-ID: <first-line-dot.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/troff; charset=us-ascii

        .TH KETTLE 1
        .SH NAME
        kettle \\- boil water
        .SH SYNOPSIS
        .B kettle
        [\\fIcups\\fR]
        ..
    """)


@committed
def smtp_transcript() -> bytes:
    """A body that quotes an SMTP session: nothing in it may be taken for a command."""
    return octets("""
        From: support@example.org
        To: bela@example.net
        Subject: What your server said
        Date: Mon, 20 Jan 2025 14:02:31 +0000
        Message-ID: <smtp-transcript.1@example.org>

        220 mx.example.net ESMTP
        EHLO client.example.org
        250-mx.example.net
        250 PIPELINING
        MAIL FROM:<ada@example.org>
        250 2.1.0 Ok
        RCPT TO:<bela@example.net>
        250 2.1.5 Ok
        DATA
        354 Go on
        Subject: short

        .
        MAIL FROM:<mallory@example.org>
        RCPT TO:<bela@example.net>
        DATA
        From: ceo@example.net

        .
        BDAT 5 LAST
        RSET
        QUIT
        221 2.0.0 Bye
    """)


@committed
def html_newsletter() -> bytes:
    """HTML and nothing else, to recipients that the header does not name."""
    story = "Water that has just boiled is too hot for green tea: let it stand for two minutes. "
    html = (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><title>Tea Weekly</title><style>\n'
        "body { font-family: Georgia, serif; margin: 0 }\n"
        ".button { background: #27632a; color: #fff; padding: 8px 16px }\n"
        "</style></head><body>\n"
        '<table width="600" align="center"><tr><td><h1>Tea Weekly № 7</h1>\n'
        f"<p>{story * 12}</p>\n"
        '<p><a class="button" href="https://example.org/tea?n=7&amp;from=mail">Read on…</a></p>\n'
        '<p><small>© Example Tea · <a href="https://example.org/out">unsubscribe</a></small></p>\n'
        "</td></tr></table></body></html>"
    )
    return octets(
        """
        From: Tea Weekly <tea@example.org>
        To: undisclosed-recipients:;
        Subject: =?utf-8?Q?Tea_Weekly_=E2=84=96_7?=
        Date: Tue, 04 Feb 2025 06:00:00 +0000
        Message-ID: <html-newsletter.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: quoted-printable
        List-Unsubscribe: <https://example.org/out?who=bela>, <mailto:out@example.org>
        List-Unsubscribe-Post: List-Unsubscribe=One-Click
        Precedence: bulk
        Feedback-ID: 7:tea:weekly:example

        $html
        """,
        html=quoted_printable(html),
    )
