"""Parameters of Content-Type and Content-Disposition, both ways."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpx.message.parameters import read_parameters, write_parameter
from tests.message.texts import SAMPLES, texts


@given(texts().map(lambda text: text.replace("\t", " ")))
@example("a" * 1000)
@example('"; x=y')
@example("100%")
def test_what_is_written_is_read(value: str) -> None:
    for name in ("filename", "x"):
        pieces = write_parameter(name, value)
        assert all(len(piece) <= 74 and piece.isascii() and piece.isprintable() for piece in pieces)
        assert read_parameters("; ".join(("attachment", *pieces, "z=1"))) == ("attachment", {name: value, "z": "1"})


@pytest.mark.parametrize(
    ("name", "value", "pieces"),
    [
        ("charset", "utf-8", ("charset=utf-8",)),
        ("filename", "a b.txt", ('filename="a b.txt"',)),
        ("filename", "", ('filename=""',)),
        ("filename", "a'b", ('filename="a\'b"',)),
        ("filename", 'a"b', ("filename*=utf-8''a%22b", 'filename="a_b"')),
        ("filename", "Ångström.pdf", ("filename*=utf-8''%C3%85ngstr%C3%B6m.pdf", 'filename="Angstrom.pdf"')),
        ("name", "日本.pdf", ("name*=utf-8''%E6%97%A5%E6%9C%AC.pdf", 'name="__.pdf"')),
        ("x", "ä", ("x*=utf-8''%C3%A4",)),
        ("filename", "=?x", ("filename*=utf-8''%3D%3Fx", 'filename="_?x"')),
        (
            "filename",
            "a" * 80 + ".tar",
            (f"filename*0*=utf-8''{'a' * 55}", f"filename*1*={'a' * 25}.tar", f'filename="{"a" * 59}.tar"'),
        ),
        ("filename", "a" * 80, (f"filename*0*=utf-8''{'a' * 55}", f"filename*1*={'a' * 25}", f'filename="{"a" * 63}"')),
        (
            "filename",
            f"a.{'b' * 80}",
            (f"filename*0*=utf-8''a.{'b' * 53}", f"filename*1*={'b' * 27}", f'filename="a.{"b" * 61}"'),
        ),
    ],
)
def test_write(name: str, value: str, pieces: tuple[str, ...]) -> None:
    assert write_parameter(name, value) == pieces


@pytest.mark.parametrize("name", ["", "a b", "a*", "a'b", "a%", "ä", "a=b", "a\n", "a" * 41])
def test_names(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a parameter"):
        write_parameter(name, "x")


@pytest.mark.parametrize("value", ["a\r\nb", "\x00", "\t", "\ud800", "\u2028"])
def test_controls(value: str) -> None:
    with pytest.raises(ValueError, match="filename: a control character"):
        write_parameter("filename", value)


@pytest.mark.parametrize(
    ("text", "value", "parameters"),
    [
        ("", "", {}),
        ("Text/Plain", "text/plain", {}),
        ("text/plain; charset=us-ascii (Plain text)", "text/plain", {"charset": "us-ascii"}),  # RFC 2045 5.1
        ("text/plain (hello) ; Charset = UTF-8", "text/plain", {"charset": "UTF-8"}),
        ('x; a="b;c"; d=e', "x", {"a": "b;c", "d": "e"}),
        ('x; a="b\\"c\\\\"', "x", {"a": 'b"c\\'}),
        ('x; a="never ends; b=c', "x", {"a": "never ends; b=c"}),
        ("x; a=my file.pdf; b=c", "x", {"a": "my file.pdf", "b": "c"}),
        ("x; a=1; a=2", "x", {"a": "1"}),
        ("x;;a;=b; c=d", "x", {"c": "d"}),
        ("x; a==?utf-8?q?=C3=A4?=", "x", {"a": "ä"}),
        ('x; a="=?utf-8?q?=C3=A4?="', "x", {"a": "ä"}),
        ("x; a*=utf-8'en'%C3%A4%zz%; b=c", "x", {"a": "ä%zz%", "b": "c"}),
        ("x; a*=iso-8859-1''%E4", "x", {"a": "ä"}),
        ("x; a*=%C3%A4", "x", {"a": "ä"}),  # without its charset
        ("x; a=plain; a*=utf-8''ext", "x", {"a": "ext"}),
        ("x; a*=utf-8''ext; a=plain", "x", {"a": "ext"}),
        ("x; a*1=b; a*0=a; a*2=c; a*4=e", "x", {"a": "abc"}),
        ("x; a*0*=utf-8''%C3; a*1*=%A4; a*2=\"%C3\"", "x", {"a": "ä%C3"}),
        ("x; a*1=b; c=d", "x", {"c": "d"}),
        ("x; *=b; a**=c; a*x=d", "x", {}),
        ("x; a*=utf-8''a%0D%0Ab", "x", {"a": "a\ufffd\ufffdb"}),
        ("x; a*0=\ud800", "x", {"a": "?"}),
    ],
)
def test_read(text: str, value: str, parameters: dict[str, str]) -> None:
    assert read_parameters(text) == (value, parameters)


@given(st.text() | st.text(st.sampled_from("a;=*'\"\\% 01(é")))
def test_reading_never_raises(text: str) -> None:
    value, parameters = read_parameters(f"x;{text}")
    assert value == "x"
    assert not any(ord(char) < 32 and char != "\t" for each in parameters.values() for char in each if "\n" not in text)


@pytest.mark.parametrize("unit", [";", ";a=", '"', ';a="', "\\", ";a*0=", "; a*=%41", "(", ";a=b(", " ", ";a "])
def test_hostile_repetition(unit: str) -> None:
    read_parameters(unit * 50_000)
    read_parameters("x; a=" + unit * 50_000)


def test_hostile_continuations() -> None:
    text = "x" + "".join(f"; a*{number}*=%41" for number in range(20_000))
    _, parameters = read_parameters(text)
    assert parameters == {"a": "A" * 500}


@pytest.mark.parametrize("text", [text for text in SAMPLES if "\t" not in text])
def test_samples(text: str) -> None:
    assert read_parameters("; ".join(("x", *write_parameter("filename", text))))[1] == {"filename": text}
