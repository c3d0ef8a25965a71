"""Small files to attach, made from nothing: PNG, PDF, ZIP, CMS, OpenPGP."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib

from recipes.building import base64_lines, noise

__all__ = [
    "cms_envelope",
    "cms_signature",
    "pdf",
    "pgp_armor",
    "pgp_packet",
    "png",
    "zip_archive",
]


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A picture in one colour that gets darker towards the bottom."""
    rows = b"".join(
        # Each row begins with its filter type: 0, none.
        b"\x00" + bytes(part * (height - row) // height for part in colour) * width
        for row in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", stored_zlib(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file: length, type, data, checksum."""
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def stored_zlib(data: bytes) -> bytes:
    """`data` (below 64 KiB) as a zlib stream of one stored block (RFC 1950, RFC 1951).

    A compressor's output differs from one version of zlib to the next; this never does.
    """
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + data
    return b"\x78\x01" + block + struct.pack(">I", zlib.adler32(data))


def pdf(*lines: str) -> bytes:
    """A document of one page with these lines on it."""
    shown = "\n".join(f"({line}) Tj T*" for line in lines)
    drawing = f"BT /F1 14 Tf 18 TL 72 760 Td\n{shown}\nET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    document, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(document))
        document += f"{number} 0 obj\n{content}\nendobj\n"
    rows = "".join(f"{place:010d} 00000 n \n" for place in places)
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}"
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n"
    return f"{document}{table}{trailer}startxref\n{len(document)}\n%%EOF\n".encode("ascii")


def zip_archive(files: dict[str, bytes]) -> bytes:
    """An archive of these files, uncompressed, all of one date."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as writer:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2025, 1, 14, 9, 30, 0))
            entry.create_system = 3  # Unix; the default depends on where this runs.
            writer.writestr(entry, content)
    return archive.getvalue()


def der(tag: int, *contents: bytes) -> bytes:
    """One ASN.1 value in DER."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def der_oid(dotted: str) -> bytes:
    """An object identifier in DER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    encoded = bytearray()
    for arc in [first * 40 + second, *rest]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return der(0x06, bytes(encoded))


SEQUENCE, SET, INTEGER, OCTET_STRING, NULL = 0x30, 0x31, 0x02, 0x04, b"\x05\x00"


def signer() -> bytes:
    """Whose key it is, as CMS says it: the name of the issuer, and a serial number."""
    name = der(SEQUENCE, der_oid("2.5.4.3"), der(0x0C, b"Example Mail CA"))
    return der(SEQUENCE, der(SEQUENCE, der(SET, name)), der(INTEGER, b"\x2a"))


def cms_signature(seed: int) -> bytes:
    """CMS SignedData (RFC 5652) whose signature is noise: right in shape only."""
    sha256 = der(SEQUENCE, der_oid("2.16.840.1.101.3.4.2.1"), NULL)
    rsa = der(SEQUENCE, der_oid("1.2.840.113549.1.1.1"), NULL)
    data = der(SEQUENCE, der_oid("1.2.840.113549.1.7.1"))
    value = der(OCTET_STRING, noise(seed, 256))
    info = der(SEQUENCE, der(INTEGER, b"\x01"), signer(), sha256, rsa, value)
    signed = der(SEQUENCE, der(INTEGER, b"\x01"), der(SET, sha256), data, der(SET, info))
    return der(SEQUENCE, der_oid("1.2.840.113549.1.7.2"), der(0xA0, signed))


def cms_envelope(seed: int, size: int) -> bytes:
    """CMS EnvelopedData (RFC 5652) for one recipient, whose contents are noise."""
    rsa = der(SEQUENCE, der_oid("1.2.840.113549.1.1.1"), NULL)
    key = der(OCTET_STRING, noise(seed, 256))
    recipient = der(SEQUENCE, der(INTEGER, b"\x00"), signer(), rsa, key)
    vector = der(OCTET_STRING, noise(seed + 1, 16))
    aes256 = der(SEQUENCE, der_oid("2.16.840.1.101.3.4.1.42"), vector)
    data = der_oid("1.2.840.113549.1.7.1")
    content = der(SEQUENCE, data, aes256, der(0x80, noise(seed + 2, size)))
    enveloped = der(SEQUENCE, der(INTEGER, b"\x00"), der(SET, recipient), content)
    return der(SEQUENCE, der_oid("1.2.840.113549.1.7.3"), der(0xA0, enveloped))


def pgp_packet(tag: int, body: bytes) -> bytes:
    """One OpenPGP packet (RFC 4880, 4.2), its length in five octets."""
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def pgp_armor(kind: str, packets: bytes) -> str:
    """Packets in ASCII armour with its checksum (RFC 4880, 6.2)."""
    checksum = 0xB704CE
    for octet in packets:
        checksum ^= octet << 16
        for _ in range(8):
            checksum = (checksum << 1) ^ (0x1864CFB if checksum & 0x800000 else 0)
    tail = base64.b64encode((checksum & 0xFFFFFF).to_bytes(3, "big")).decode("ascii")
    armoured = f"{base64_lines(packets, 64)}\n={tail}"
    return f"-----BEGIN PGP {kind}-----\n\n{armoured}\n-----END PGP {kind}-----"
