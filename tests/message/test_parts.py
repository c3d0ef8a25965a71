"""The tree of parts of a message that was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.message.header_block import split_header
from smtpx.message.parts import EmlLimits, Part, read_parts


def tree(octets: bytes, **limits: int) -> Part:
    chosen = EmlLimits(**limits)
    header, start, _ = split_header(octets, max_bytes=chosen.max_header_bytes, max_fields=chosen.max_headers)
    return read_parts(memoryview(octets)[start:], header, chosen)


def shape(part: Part) -> object:
    return {part.content_type: [shape(each) for each in part.parts]} if part.parts else part.content_type


def multipart(kind: str, boundary: str, *parts: str) -> str:
    body = "".join(f"\r\n--{boundary}\r\n{part}" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\npreamble{body}\r\n--{boundary}--\r\nepilogue'


def leaf(content_type: str, text: str = "", *more: str) -> str:
    return "".join(f"{line}\r\n" for line in (f"Content-Type: {content_type}", *more)) + f"\r\n{text}"


FULL = multipart(
    "mixed",
    "M",
    multipart(
        "related",
        "R",
        multipart("alternative", "A", leaf("text/plain", "text"), leaf("text/html", "<p>"), leaf("text/calendar", "V")),
        leaf("image/png", "1", "Content-ID: <logo@x>"),
        leaf("image/png", "2", "Content-Disposition: attachment", "Content-ID: <x>"),
        leaf("image/png", "3"),
    ),
    leaf("application/pdf", "4", 'Content-Disposition: attachment; filename="a.pdf"'),
    leaf("image/gif", "5", "Content-Disposition: inline"),
    leaf("application/pdf", "6", "Content-Disposition: inline", "Content-ID: <y>"),
    leaf("application/pdf", "7", "Content-Disposition: inline"),
    leaf("message/rfc822", "Subject: x\r\n\r\n", "Content-Disposition: inline", "Content-ID: <z>"),
    leaf("text/plain; name=log.txt", "8"),
)


def test_the_whole_nest() -> None:
    root = tree(FULL.encode())
    assert shape(root) == {
        "multipart/mixed": [
            {
                "multipart/related": [
                    {"multipart/alternative": ["text/plain", "text/html", "text/calendar"]},
                    *("image/png", "image/png", "image/png"),
                ]
            },
            *("application/pdf", "image/gif", "application/pdf", "application/pdf", "message/rfc822", "text/plain"),
        ]
    }
    numbers = dict(root.numbered())
    assert list(numbers)[:6] == ["1", "1.1", "1.1.1", "1.1.1.1", "1.1.1.2", "1.1.1.3"]
    assert [part.octets for part in root.leaves() if part.is_body] == [b"text", b"<p>"]
    assert [part.octets for part in root.leaves() if part.is_form] == [b"V"]
    assert [part.octets for part in root.leaves() if part.is_inline] == [b"1", b"5", b"6"]
    assert not any(part.defects or part.content_defects() for part in numbers.values())
    assert "multipart/mixed" in repr(root)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_contents_end_before_the_boundary(end: str) -> None:
    octets = multipart("mixed", "B", leaf("text/plain", "a\r\n"), "\r\nb", "").replace("\r\n", end).encode()
    root = tree(octets)
    assert [part.octets for part in root.parts] == [f"a{end}".encode(), b"b", b""]
    assert [part.octets for part in tree(octets.replace(f"{end}{end}preamble".encode(), end.encode())).parts][1:] == [
        b"b",
        b"",
    ]


def test_boundaries_that_are_none() -> None:
    text = "x\r\n--Bb\r\n--B-\r\n--B x\r\n --B\r\n-B\r\n--B-- x"
    root = tree(multipart("mixed", "B", f"\r\n{text}", "\r\ny").replace("--B\r\n\r\ny", "--B \t\r\n\r\ny").encode())
    assert [part.text for part in root.parts] == [text.replace("\r\n", "\n"), "y"]


def test_two_boundaries_in_a_row() -> None:
    root = tree(b"Content-Type: multipart/mixed; boundary=B\n\n--B\n--B\n\nx\n--B--")
    assert [part.octets for part in root.parts] == [b"", b"x"]


@pytest.mark.parametrize(
    ("octets", "parts", "defect"),
    [
        (b"Content-Type: multipart/mixed\n\n--B\n\nx\n--B--", 0, "without a boundary"),
        (b'Content-Type: multipart/mixed; boundary=""\n\nx', 0, "without a boundary"),
        (b"Content-Type: multipart/mixed; boundary=%s\n\nx" % (b"x" * 201), 0, "without a boundary"),
        (b"Content-Type: multipart/mixed; boundary=B\n\nx", 0, "without its boundary"),
        (b"Content-Type: multipart/mixed; boundary=B\n\n--B--\n", 0, None),
        (b"Content-Type: multipart/mixed; boundary=B\n\n--B\n\nx", 1, "does not end"),
        (b"Content-Type: multipart/mixed; boundary=B\n\n--B", 1, "does not end"),
        (b"Content-Type: multipart/mixed; boundary=B\n\n--B\r\n", 1, "does not end"),
        ("Content-Type: multipart/mixed; boundary=ä\n\n--ä\n\nx\n--ä--".encode(), 1, None),
    ],
)
def test_broken_multiparts(octets: bytes, parts: int, defect: str | None) -> None:
    root = tree(octets)
    assert len(root.parts) == parts
    assert [defect in each for each in root.defects if defect] == [True] * bool(defect)
    assert len(root.defects) == bool(defect)
    assert root.is_broken == (parts == 0)
    if root.is_broken:
        assert list(root.leaves()) == [root]
        assert root.is_body
        assert root.text.encode() == root.octets


def test_limits() -> None:
    octets = multipart("mixed", "B", *["\r\nx"] * 10).encode()
    root = tree(octets, max_parts=4)
    assert len(root.parts) == 3
    assert root.defects == ["more than 4 parts: the others are not looked into"]
    assert len(tree(octets, max_parts=11).parts) == 10
    unended = octets[: octets.rindex(b"\r\n--")]
    assert len(tree(unended, max_parts=10).parts) == 9
    nested = "\r\nx"
    for level in range(5):
        nested = multipart("mixed", f"B{level}", nested)
    assert [len(part.defects) for _, part in tree(nested.encode(), max_depth=3).numbered()] == [0, 0, 0, 1]
    assert not any(part.defects for _, part in tree(nested.encode(), max_depth=5).numbered())
    wide = multipart("mixed", "B", "A: b\r\n" * 5 + "\r\nx").encode()
    (part,) = tree(wide, max_headers=2).parts
    assert "more than 2 fields" in part.defects[0]
    (part,) = tree(wide, max_header_bytes=60).parts
    assert not part.defects
    long = multipart("mixed", "B", "A: b\r\n" * 20 + "\r\nx").encode()
    (part,) = tree(long, max_header_bytes=60).parts
    assert "60 octets" in part.defects[0]
    assert part.octets.endswith(b"\r\n\r\nx")


def test_digest() -> None:
    root = tree(multipart("digest", "B", "\r\nSubject: x\r\n\r\n", leaf("text/plain", "y")).encode())
    assert [part.content_type for part in root.parts] == ["message/rfc822", "text/plain"]


@pytest.mark.parametrize("value", ["", "text", "text/", "/plain", "a b/c", "te(xt)/plain", "multipart"])
def test_types_that_are_none(value: str) -> None:
    assert tree(f"Content-Type: {value}\n\n".encode()).content_type == "text/plain"


@pytest.mark.parametrize(
    ("encoding", "octets", "content", "defects"),
    [
        ("", b"a=20", b"a=20", 0),
        ("7bit", b"a", b"a", 0),
        ("BASE64", b"YWJj\r\nZA==\r\n", b"abcd", 0),
        ("base64", b"YWJjZA", b"abcd", 0),
        ("base64", b"YWJjZ", b"abc", 0),
        ("base64", b"Y", b"", 0),
        ("base64", b"YWJjZ\0", b"abc", 1),
        ("base64", b"!", b"", 1),
        ("base64", b"", b"", 0),
        ("base64", b"YW!Jj", b"abc", 1),
        ("base64 (a comment)", b"YWJj", b"abc", 0),
        ("Quoted-Printable", b"a=C3=A4=\r\nb=zz", "aäb=zz".encode(), 0),
        ("x-uuencode", b"begin", b"begin", 1),
    ],
)
def test_contents(encoding: str, octets: bytes, content: bytes, defects: int) -> None:
    part = tree(b"Content-Transfer-Encoding: %s\r\n\r\n%s" % (encoding.encode(), octets))
    assert part.content == content
    assert part.octets == octets
    assert len(part.content_defects()) == defects


def test_text() -> None:
    assert tree(b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe4\r\nb\n").text == "ä\nb\n"
    part = tree(b"Content-Type: text/plain; charset=klingon\r\n\r\nx")
    assert part.charset == "klingon"
    assert part.content_defects() == ["a character set that nobody knows"]
    assert tree(b"Content-Type: image/png; charset=klingon\r\n\r\nx").content_defects() == []


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Content-Disposition: attachment; filename=a.txt", "a.txt"),
        ("Content-Type: text/plain; name=b.txt", "b.txt"),
        ("Content-Type: text/plain; name=b.txt\r\nContent-Disposition: attachment; filename=a.txt", "a.txt"),
        ('Content-Disposition: attachment; filename="../../etc/passwd"', "passwd"),
        ("Content-Disposition: attachment; filename*=utf-8''C%3A%5Cx%2Fy.exe", "y.exe"),
        ('Content-Disposition: attachment; filename=".."', None),
        ('Content-Disposition: attachment; filename="a/"', None),
        ("Content-Disposition: attachment", None),
    ],
)
def test_file_names(header: str, name: str | None) -> None:
    assert tree(f"{header}\r\n\r\n".encode()).filename == name


def test_content_id() -> None:
    assert tree(b"Content-ID: <a@b>\n\n").content_id == "a@b"
    assert tree(b"\n").content_id is None


@given(
    st.lists(
        st.sampled_from(
            [
                *(b"--B", b"--C", b"--", b"\r\n", b"\n", b"\r", b"Content-Type: multipart/mixed; boundary=B", b"x"),
                *(b"Content-Type: multipart/digest; boundary=C", b"Content-Transfer-Encoding: base64", b"=", b"\xff"),
            ]
        )
    ).map(b"".join)
)
def test_whatever_comes(octets: bytes) -> None:
    root = tree(octets, max_parts=5, max_depth=2)
    numbered = list(root.numbered())
    assert len(numbered) <= 5
    for _, part in numbered:
        assert part.octets in octets
        assert isinstance(part.text, str)
        assert isinstance(part.content_defects(), list)
        assert part.filename is None


@pytest.mark.parametrize("unit", [b"\n--B", b"\n--B\n", b"\n--B-", b"-", b"\n--B\t ", b"\r\n", b"\n--Bx", b"--B"])
def test_hostile_repetition(unit: bytes) -> None:
    for octets in (unit * 200_000, b"Content-Type: multipart/mixed; boundary=B\n\n" * 1000 + unit * 200_000):
        root = tree(b"Content-Type: multipart/mixed; boundary=B\n\n" + octets)
        assert sum(1 for _ in root.numbered()) <= 1000


def test_hostile_depth() -> None:
    octets = b"".join(
        b"Content-Type: multipart/mixed; boundary=B%d\n\n--B%d\n" % (level, level) for level in range(5000)
    )
    root = tree(octets)
    assert sum(1 for _ in root.numbered()) == 33
