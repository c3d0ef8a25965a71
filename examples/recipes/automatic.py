"""Messages that programs write: lists, reports, automatic answers."""

from __future__ import annotations

from recipes.building import committed, octets


@committed
def mailing_list() -> bytes:
    """List mail: List-* headers, one-click unsubscription, very long References."""
    thread = [f"<thread-{n:03d}.{n * 7919:x}@lists.example.org>" for n in range(1, 41)]
    return octets(
        """
        Sender: Tea <tea-bounces@lists.example.org>
        From: Cleo Herbst via Tea <tea@lists.example.org>
        Reply-To: Cleo Herbst <cleo@example.org>, Tea <tea@lists.example.org>
        To: Tea drinkers <tea@lists.example.org>
        Subject: Re: [Tea] Re: AW: Re: Which kettle?
        Date: Thu, 06 Feb 2025 07:30:00 +0000
        Message-ID: <mailing-list.1@lists.example.org>
        In-Reply-To: $parent
        References: $references
        X-BeenThere: tea@lists.example.org
        Precedence: list
        List-Id: Everything about tea <tea.lists.example.org>
        List-Post: <mailto:tea@lists.example.org>
        List-Help: <mailto:tea-request@lists.example.org?subject=help>
        List-Archive: <https://lists.example.org/archives/tea/>
        List-Unsubscribe: <https://lists.example.org/u/3f9a>,
         <mailto:tea-request@lists.example.org?subject=unsubscribe>
        List-Unsubscribe-Post: List-Unsubscribe=One-Click

        > > Has anybody tried the blue one?
        > Yes. It leaks.

        Mine does not.
        _______________________________________________
        Tea mailing list -- tea@lists.example.org
        """,
        parent=thread[-1],
        references="\n ".join(thread),
    )


@committed
def digest() -> bytes:
    """A day's list mail in one multipart/digest, whose parts are messages by default."""
    return octets("""
        From: tea-request@lists.example.org
        To: tea@lists.example.org
        Subject: Tea Digest, Vol 7, Issue 2
        Date: Thu, 06 Feb 2025 23:59:00 +0000
        Message-ID: <digest.1@lists.example.org>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="=====digest====="

        --=====digest=====
        Content-Type: text/plain; charset=us-ascii
        Content-Description: Tea Digest, Vol 7, Issue 2

        Today's topics: 1. Which kettle? 2. Sugar

        --=====digest=====
        Content-Type: multipart/digest; boundary="=====entries====="

        --=====entries=====

        From: cleo@example.org
        Subject: Which kettle?
        Date: Thu, 06 Feb 2025 07:00:00 +0000
        Message-ID: <digest.2@example.org>

        The blue one?

        --=====entries=====

        From: dora@example.org
        Subject: Sugar
        Date: Thu, 06 Feb 2025 08:00:00 +0000
        Message-ID: <digest.3@example.org>

        None for me.

        --=====entries=====--

        --=====digest=====--
    """)


@committed
def bounce() -> bytes:
    """A bounce: multipart/report with the status and the headers of what came back."""
    return octets("""
        From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
        To: ada@example.org
        Subject: Undelivered Mail Returned to Sender
        Date: Fri, 07 Feb 2025 03:00:00 +0000
        Message-ID: <bounce.1@mx.example.net>
        Auto-Submitted: auto-replied
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status;
        \tboundary="B4F1C.1738897200/mx.example.net"

        This is a MIME-encapsulated message.

        --B4F1C.1738897200/mx.example.net
        Content-Description: Notification
        Content-Type: text/plain; charset=us-ascii

        Your message could not be delivered to <nobody@example.net>:
        550 5.1.1 there is nobody of that name

        --B4F1C.1738897200/mx.example.net
        Content-Description: Delivery report
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mx.example.net
        Arrival-Date: Fri, 07 Feb 2025 02:59:58 +0000

        Original-Recipient: rfc822;nobody@example.net
        Final-Recipient: rfc822; nobody@example.net
        Action: failed
        Status: 5.1.1
        Remote-MTA: dns; inner.example.net
        Diagnostic-Code: smtp; 550 5.1.1 there is nobody of that name

        --B4F1C.1738897200/mx.example.net
        Content-Description: Undelivered Message Headers
        Content-Type: text/rfc822-headers

        From: Ada Winter <ada@example.org>
        To: nobody@example.net
        Subject: Is anybody there?
        Date: Fri, 07 Feb 2025 02:59:50 +0000
        Message-ID: <question.1@example.org>

        --B4F1C.1738897200/mx.example.net--
    """)


@committed
def delivery_success() -> bytes:
    """A notification of success, with the whole message that was delivered."""
    return octets("""
        From: postmaster@mx.example.net
        To: ada@example.org
        Subject: Delivered: Invitation
        Date: Fri, 07 Feb 2025 10:00:05 +0000
        Message-ID: <delivery-success.1@mx.example.net>
        Auto-Submitted: auto-generated
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="dsn+ok"

        --dsn+ok
        Content-Type: text/plain; charset=us-ascii

        Your message was delivered to two recipients.

        --dsn+ok
        Content-Type: message/delivery-status

        Original-Envelope-Id: x1
        Reporting-MTA: dns; mx.example.net

        Original-Recipient: rfc822;bela+40home@example.net
        Final-Recipient: rfc822; bela@example.net
        Action: delivered
        Status: 2.0.0

        Final-Recipient: rfc822; cleo@example.com
        Action: relayed
        Status: 2.0.0
        Remote-MTA: dns; mx.example.com

        --dsn+ok
        Content-Type: message/rfc822

        From: ada@example.org
        To: bela@example.net, cleo@example.com
        Subject: Invitation
        Date: Fri, 07 Feb 2025 10:00:00 +0000
        Message-ID: <invitation.1@example.org>

        Tea at four?

        --dsn+ok--
    """)


@committed
def read_receipt() -> bytes:
    """A read receipt: multipart/report with a disposition notification (RFC 8098)."""
    return octets("""
        From: Bela Sommer <bela@example.net>
        To: Ada Winter <ada@example.org>
        Subject: Read: Tuesday's meeting
        Date: Fri, 07 Feb 2025 12:00:00 +0000
        Message-ID: <read-receipt.1@example.net>
        In-Reply-To: <read-receipt-wanted.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=disposition-notification;
         boundary="mdn_1"

        --mdn_1
        Content-Type: text/plain; charset=us-ascii

        Your message was displayed on Friday at noon. That it was read, or
        understood, cannot be told.

        --mdn_1
        Content-Type: message/disposition-notification

        Reporting-UA: laptop.example.net; Example Mail 3.1
        Original-Recipient: rfc822;bela@example.net
        Final-Recipient: rfc822;bela@example.net
        Original-Message-ID: <read-receipt-wanted.1@example.org>
        Disposition: manual-action/MDN-sent-manually; displayed

        --mdn_1--
    """)


@committed
def read_receipt_wanted() -> bytes:
    """A message that asks for a read receipt, marked as urgent in four ways."""
    return octets("""
        From: Ada Winter <ada@example.org>
        To: Bela Sommer <bela@example.net>
        Subject: Tuesday's meeting
        Date: Fri, 07 Feb 2025 11:00:00 +0000
        Message-ID: <read-receipt-wanted.1@example.org>
        Disposition-Notification-To: Ada Winter <ada@example.org>
        Return-Receipt-To: ada@example.org
        Importance: high
        Priority: urgent
        X-Priority: 1 (Highest)
        X-MSMail-Priority: High

        Can we meet an hour earlier?
    """)


@committed
def vacation_reply() -> bytes:
    """An automatic answer, marked so that nobody answers it automatically (RFC 3834)."""
    return octets("""
        From: Bela Sommer <bela@example.net>
        To: ada@example.org
        Subject: Auto: Tuesday's meeting
        Date: Sat, 08 Feb 2025 00:00:10 +0000
        Message-ID: <vacation-reply.1@example.net>
        In-Reply-To: <plain-ascii.1@example.org>
        References: <plain-ascii.1@example.org>
        Auto-Submitted: auto-replied (vacation)
        X-Auto-Response-Suppress: All
        MIME-Version: 1.0
        Content-Type: text/plain; charset=us-ascii

        I am away until the 17th and read no mail.
    """)


@committed
def abuse_report() -> bytes:
    """A complaint of a mailbox provider in the Abuse Reporting Format (RFC 5965)."""
    return octets("""
        From: feedback@example.com
        To: abuse@example.org
        Subject: FW: You have won a kettle
        Date: Sat, 08 Feb 2025 05:00:00 +0000
        Message-ID: <abuse-report.1@example.com>
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=feedback-report; boundary="arf-7"

        --arf-7
        Content-Type: text/plain; charset=us-ascii

        This is an abuse report for a message received from 192.0.2.99.

        --arf-7
        Content-Type: message/feedback-report

        Feedback-Type: abuse
        User-Agent: ExampleFeedback/1.0
        Version: 1
        Original-Mail-From: <prizes@example.org>
        Source-IP: 192.0.2.99

        --arf-7
        Content-Type: message/rfc822

        From: prizes@example.org
        To: somebody@example.com
        Subject: You have won a kettle
        Date: Sat, 08 Feb 2025 04:55:00 +0000
        Message-ID: <prize.1@example.org>

        Click here.

        --arf-7--
    """)
