"""Signed and encrypted messages, right in shape: the cryptography is noise."""

from __future__ import annotations

from recipes.building import base64_lines, committed, noise, octets
from recipes.files import cms_envelope, cms_signature, pgp_armor, pgp_packet


@committed
def smime_signed() -> bytes:
    """The shape of S/MIME: multipart/signed with a detached smime.p7s."""
    return octets(
        """
        From: Ada Winter <ada@example.org>
        To: bela@example.net
        Subject: Signed
        Date: Wed, 05 Feb 2025 09:00:00 +0000
        Message-ID: <smime-signed.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/signed; protocol="application/pkcs7-signature";
        \tmicalg=sha-256; boundary="----9C1A2B3D4E5F"

        This is an S/MIME signed message

        ------9C1A2B3D4E5F
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        Every octet of this part counts: trailing space=20
        =46rom the first to the last.

        ------9C1A2B3D4E5F
        Content-Type: application/pkcs7-signature; name="smime.p7s"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment; filename="smime.p7s"
        Content-Description: S/MIME Cryptographic Signature

        $signature

        ------9C1A2B3D4E5F--

        """,
        signature=base64_lines(cms_signature(20), 64),
    )


@committed
def smime_encrypted() -> bytes:
    """The shape of S/MIME: the whole body is one application/pkcs7-mime."""
    return octets(
        """
        From: Ada Winter <ada@example.org>
        To: bela@example.net
        Subject: ...
        Date: Wed, 05 Feb 2025 09:10:00 +0000
        Message-ID: <smime-encrypted.1@example.org>
        MIME-Version: 1.0
        Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"
        Content-Transfer-Encoding: base64
        Content-Disposition: attachment; filename="smime.p7m"
        Content-Description: S/MIME Encrypted Message

        $envelope
        """,
        envelope=base64_lines(cms_envelope(21, 1_024), 64),
    )


@committed
def pgp_signed() -> bytes:
    """The shape of PGP/MIME: multipart/signed with an armoured signature."""
    return octets(
        """
        From: Cleo Herbst <cleo@example.org>
        To: bela@example.net
        Subject: Signed with the other method
        Date: Wed, 05 Feb 2025 09:20:00 +0000
        Message-ID: <pgp-signed.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/signed; micalg=pgp-sha512;
         protocol="application/pgp-signature"; boundary="pgp-boundary"

        --pgp-boundary
        Content-Type: text/plain; charset=us-ascii
        Content-Disposition: inline

        - A line that begins with a dash.
        . And one that begins with a dot.

        --pgp-boundary
        Content-Type: application/pgp-signature; name="signature.asc"

        $signature

        --pgp-boundary--
        """,
        signature=pgp_armor("SIGNATURE", pgp_packet(2, b"\x04" + noise(22, 119))),
    )


@committed
def pgp_encrypted() -> bytes:
    """The shape of PGP/MIME: multipart/encrypted with its version part."""
    packets = pgp_packet(1, b"\x03" + noise(23, 93)) + pgp_packet(18, b"\x01" + noise(24, 700))
    return octets(
        """
        From: Cleo Herbst <cleo@example.org>
        To: bela@example.net
        Subject: Encrypted with the other method
        Date: Wed, 05 Feb 2025 09:30:00 +0000
        Message-ID: <pgp-encrypted.1@example.org>
        MIME-Version: 1.0
        Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";
         boundary="pgp-boundary-2"

        --pgp-boundary-2
        Content-Type: application/pgp-encrypted
        Content-Description: PGP/MIME version identification

        Version: 1

        --pgp-boundary-2
        Content-Type: application/octet-stream; name="encrypted.asc"
        Content-Disposition: inline; filename="encrypted.asc"

        $message

        --pgp-boundary-2--
        """,
        message=pgp_armor("MESSAGE", packets),
    )
