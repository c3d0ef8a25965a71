"""Messages in other scripts, in their headers and in their bodies."""

from __future__ import annotations

from recipes.building import (
    base64_lines,
    committed,
    encoded_words,
    octets,
    quoted_printable,
)


@committed
def eight_bit_utf8() -> bytes:
    """A body of UTF-8 as it is, Content-Transfer-Encoding: 8bit."""
    return octets(
        """
        From: =?utf-8?Q?Zo=C3=AB_N=C3=BA=C3=B1ez?= <zoe@example.org>
        To: bela@example.net
        Subject: =?utf-8?Q?D=C3=A9jeuner=3F?=
        Date: Tue, 21 Jan 2025 10:00:00 +0100
        Message-ID: <eight-bit-utf8.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        Ça te dit, un déjeuner à midi ? – ¡Claro que sí!
        Zażółć gęślą jaźń. Příliš žluťoučký kůň. Ελληνικά. Русский. עברית. ไทย. 한국어.
        .… a line that begins with a dot and an ellipsis
        𝄞 and other characters of four octets: 🫖 𠀋
        """,
        charset="utf-8",
    )


@committed
def windows_1252() -> bytes:
    """A body in windows-1252 with curly quotes and a euro sign, sent as 8bit."""
    return octets(
        """
        From: =?windows-1252?Q?Andr=E9?= <andre@example.org>
        To: bela@example.net
        Subject: =?windows-1252?Q?Devis_=96_1=A0250_=80?=
        Date: Tue, 21 Jan 2025 11:15:00 +0100
        Message-ID: <windows-1252.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset="windows-1252"
        Content-Transfer-Encoding: 8bit
        X-Mailer: Example Office 9.0

        Bonjour,

        voici le devis “définitif” : 1 250 € – l’œuvre complète…

        André
        """,
        charset="windows-1252",
    )


@committed
def gb18030_8bit() -> bytes:
    """A Chinese body in GB18030, whose second octets may be ASCII, sent as 8bit."""
    return octets(
        """
        From: $sender <wang@example.org>
        To: bela@example.net
        Subject: $subject
        Date: Wed, 22 Jan 2025 15:30:00 +0800
        Message-ID: <gb18030-8bit.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=gb18030
        Content-Transfer-Encoding: 8bit

        您好:

        附件是本月的会议记录,请查收。如有问题,请随时与我联系。
        镕鎔堃喆 是常见的人名用字。

        王小明
        """,
        charset="gb18030",
        sender=encoded_words("王小明", "gb18030"),
        subject=encoded_words("本月会议记录", "gb18030"),
    )


@committed
def big5_8bit() -> bytes:
    """A Chinese body in Big5, with characters whose second octet is a backslash."""
    return octets(
        """
        From: $sender <hsu@example.org>
        To: bela@example.net
        Subject: $subject
        Date: Wed, 22 Jan 2025 16:00:00 +0800
        Message-ID: <big5-8bit.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=big5
        Content-Transfer-Encoding: 8bit

        許先生您好:

        感謝您的來信,功課與開會的時間都已經改好了。
        許 功 蓋
        """,
        charset="big5",
        sender=encoded_words("許小姐", "big5"),
        subject=encoded_words("開會時間", "big5"),
    )


@committed
def japanese_iso_2022_jp() -> bytes:
    """Japanese headers and body in ISO-2022-JP: seven bits and escape sequences."""
    return octets(
        """
        From: $sender <suzuki@example.org>
        To: $recipient <tanaka@example.net>
        Subject: $subject
        Date: Thu, 23 Jan 2025 09:00:00 +0900
        Message-ID: <japanese-iso-2022-jp.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=ISO-2022-JP
        Content-Transfer-Encoding: 7bit

        田中様

        いつもお世話になっております。鈴木です。
        来週の打ち合わせの件ですが、火曜日の午前十時からでよろしいでしょうか。
        .点で始まる行もあります。

        よろしくお願いいたします。
        """,
        charset="iso-2022-jp",
        sender=encoded_words("鈴木一郎", "ISO-2022-JP"),
        recipient=encoded_words("田中花子", "ISO-2022-JP"),
        subject=encoded_words("来週の打ち合わせの日程と場所についてのご相談とお願い", "ISO-2022-JP"),
    )


@committed
def japanese_utf8() -> bytes:
    """Japanese headers as UTF-8 encoded-words over several lines, body in base64."""
    text = "佐藤様\r\n\r\nご注文の品を本日発送いたしました。\r\n到着まで今しばらくお待ちください。\r\n"
    return octets(
        """
        From: $sender <shop@example.org>
        To: $recipient <sato@example.net>
        Subject: $subject
        Date: Thu, 23 Jan 2025 18:45:00 +0900
        Message-ID: <japanese-utf8.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=UTF-8
        Content-Transfer-Encoding: base64

        $text
        """,
        sender=encoded_words("お茶の店"),
        recipient=encoded_words("佐藤様"),
        subject=encoded_words("【発送のお知らせ】ご注文いただいた急須と湯呑みのセットを本日発送いたしました"),
        text=base64_lines(text.encode("utf-8")),
    )


@committed
def arabic() -> bytes:
    """Arabic headers, and a body that runs from right to left, as text and as HTML."""
    html = (
        '<!DOCTYPE html>\n<html lang="ar" dir="rtl"><body>\n'
        "<p>السلام عليكم،</p>\n<p>موعد الاجتماع يوم <b>الثلاثاء</b> الساعة 10:00.</p>\n"
        "</body></html>"
    )
    return octets(
        """
        From: $sender <layla@example.org>
        To: bela@example.net
        Subject: $subject
        Date: Sun, 26 Jan 2025 12:00:00 +0300
        Message-ID: <arabic.1@example.org>
        MIME-Version: 1.0
        Content-Language: ar
        Content-Type: multipart/alternative; boundary="=-arabic-1"

        --=-arabic-1
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        السلام عليكم،

        موعد الاجتماع يوم الثلاثاء الساعة 10:00 (room B2).

        --=-arabic-1
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        $html

        --=-arabic-1--
        """,
        charset="utf-8",
        sender=encoded_words("ليلى حداد"),
        subject=encoded_words("دعوة إلى اجتماع الفريق يوم الثلاثاء القادم"),
        html=quoted_printable(html),
    )


@committed
def emoji_encoded() -> bytes:
    """Emoji in the subject and in a display name, as encoded-words."""
    return octets(
        """
        From: $sender <party@example.org>
        To: bela@example.net
        Subject: $subject
        Date: Mon, 27 Jan 2025 19:00:00 +0000
        Message-ID: <emoji-encoded.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        🎉 at eight. Bring 🍰, and the 👨‍👩‍👧‍👦 if you like. 🏳️‍🌈
        """,
        charset="utf-8",
        sender=encoded_words("Party 🎈 people"),
        subject=encoded_words("🎂 Birthday party 🎉 on Friday 👩🏽‍🚀🚀 – bring 🍰!"),
    )


@committed
def emoji_raw_utf8() -> bytes:
    """The subject and the names in UTF-8 as they are (RFC 6532): needs SMTPUTF8."""
    return octets(
        """
        From: Zoë 🎈 Núñez <zoe@example.org>
        To: Béla Sommer <bela@example.net>
        Subject: 🎂 Raw UTF-8 in a header – no encoded-word needed ✨
        Date: Mon, 27 Jan 2025 19:05:00 +0000
        Message-ID: <emoji-raw-utf8.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        See you on Friday 🎉
        """,
        charset="utf-8",
    )


@committed
def smtputf8_addresses() -> bytes:
    """Addresses that are not ASCII, before and after the at sign (RFC 6531)."""
    return octets(
        """
        From: 鈴木一郎 <鈴木@例え.example>
        To: ليلى <ليلى@بريد.example>, Jürgen <jürgen@bücher.example>
        Cc: bela@example.net
        Subject: これは国際化メールアドレスの試験です
        Date: Tue, 28 Jan 2025 09:00:00 +0900
        Message-ID: <smtputf8-addresses.1@example.org>
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 8bit

        Three recipients: two of them need SMTPUTF8.
        """,
        charset="utf-8",
    )
