"""Messages whose headers are the interesting part."""

from __future__ import annotations

from recipes.building import base64_lines, committed, noise, octets


@committed
def sixty_recipients() -> bytes:
    """A To header with sixty addresses, folded over sixty lines."""
    people = ",\n ".join(f'"Member No. {n:02d}" <member{n:02d}@example.net>' for n in range(1, 61))
    return octets(
        """
        From: Club <club@example.org>
        To: $people
        Subject: To everybody
        Date: Wed, 29 Jan 2025 20:15:00 +0100
        Message-ID: <sixty-recipients.1@example.org>

        Everybody can see everybody's address. Sorry about that.
        """,
        people=people,
    )


@committed
def odd_addresses() -> bytes:
    """Quoted local parts, comments, a group, an address literal, folding in odd places."""
    return octets("""
        From: "Winter, Ada (office)" <ada.winter+kettles@example.org> (writes from work)
        To: "bela..sommer"@example.net, "with space"@example.net,
        \t"quoted \\"word\\"" <o'hara_{x}=y@example.net>
        Cc: Tea drinkers: cleo@example.net,
          Dora <dora@[192.0.2.25]>;,
         !#$$%&'*+-/=?^_`{|}~@example.net
        Subject:
         The text of this header begins on its second line
        Date: Wed, 29 Jan 2025 20:30:00 +0100 (CET)
        Message-ID: <odd-addresses.1@example.org>
        Comments:
        Keywords: a, b,
         c

        Six recipients, each of which is legal.
    """)


@committed
def forty_received() -> bytes:
    """Forty Received headers, as on a message that has travelled through many relays."""
    hops = "\n".join(
        f"Received: from hop{n + 1}.example.net (hop{n + 1}.example.net [192.0.2.{n + 1}])\n"
        f"\tby hop{n}.example.net (Postbox) with ESMTPS id {n:04X}\n"
        f"\tfor <bela@example.net>; Thu, 30 Jan 2025 10:{40 - n:02d}:00 +0000"
        for n in range(1, 41)
    )
    return octets(
        """
        $hops
        From: ada@example.org
        To: bela@example.net
        Subject: The long way round
        Date: Thu, 30 Jan 2025 09:59:00 +0000
        Message-ID: <forty-received.1@example.org>

        Forty hops; most servers give up at a hundred.
        """,
        hops=hops,
    )


@committed
def authenticated_headers() -> bytes:
    """Signed and sealed on its way: DKIM, ARC and Authentication-Results in shape."""
    return octets(
        """
        Return-Path: <ada@example.org>
        Delivered-To: bela@old.example.net
        Received: from mx.example.org (mx.example.org [192.0.2.1])
        \tby mx.old.example.net with ESMTPS; Thu, 30 Jan 2025 12:00:02 +0000
        ARC-Seal: i=1; a=rsa-sha256; t=1738238402; cv=none; d=old.example.net; s=arc;
         b=$seal
        ARC-Authentication-Results: i=1; old.example.net;
         dkim=pass header.d=example.org; spf=pass smtp.mailfrom=example.org
        Authentication-Results: old.example.net;
        \tdkim=pass (2048-bit key) header.d=example.org header.s=jan25;
        \tdmarc=pass (p=reject) header.from=example.org
        DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=jan25;
        \tt=1738238400; h=from:to:subject:date:message-id;
        \tbh=$body;
        \tb=$signature
        From: Ada Winter <ada@example.org>
        To: bela@example.net
        Subject: Forwarded for you, with the old trace headers still there
        Date: Thu, 30 Jan 2025 12:00:00 +0000
        Message-ID: <authenticated-headers.1@example.org>

        Change one octet of this, and the signature no longer holds.
        """,
        seal="\n ".join(base64_lines(noise(10, 256), 72).split("\n")),
        body=base64_lines(noise(11, 32)),
        signature="\n\t ".join(base64_lines(noise(12, 256), 68).split("\n")),
    )
