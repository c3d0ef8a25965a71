"""Plain text from HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.message.html_text import text_of


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("plain", "plain\n"),
        ("  a \n\t b  ", "a b\n"),
        ("a&nbsp;b &amp; &lt;c&gt; &copy; &#128512; &unknown; &", "a b & <c> © 😀 &unknown; &\n"),
        ("<p>one</p><p>two</p>", "one\n\ntwo\n"),
        ("<p>one<p>two", "one\n\ntwo\n"),
        ("<div>one</div><div>two</div>", "one\ntwo\n"),
        ("<h1>Head</h1>text<h2>Next</h2>text", "Head\n\ntext\n\nNext\n\ntext\n"),
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd\n"),
        ("a<br><br><br><br>b", "a\n\nb\n"),
        ("<p>a<br></p><p>b</p>", "a\n\nb\n"),
        ("a<hr>b", f"a\n\n{'-' * 20}\n\nb\n"),
        ("one <b>two</b> <i>three</i>four", "one two threefour\n"),
        ("a<b> b</b>", "a b\n"),
        ("soft\u00adhyphen zero\u200bwidth \x00\x07control", "softhyphen zerowidth control\n"),
        ("half \ud83d a pair", "half a pair\n"),
        ("<html><head><title>T</title><style>x</style></head><body>b</body></html>", "b\n"),
        ("a<!-- hidden -- > <b>x</b> -->b<!doctype html><?xml ?>c", "abc\n"),
        ("a<!-- never ends", "a\n"),
        ("a<!never ends", "a\n"),
        ("a<script>if (a < b) '</b>'</script >b", "ab\n"),
        ("a<SCRIPT>x</script>b<style>never ends", "ab\n"),
        ("a<textarea>x<b>y</textarea>b<svg><text>x</text></svg>c", "abc\n"),
        ("a<select><option>x</option></select>b", "ab\n"),
    ],
)
def test_text(markup: str, text: str) -> None:
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ul><li>one<li>two</ul>", "- one\n- two\n"),
        ("a<ul><li>one</li><li>two</li></ul>b", "a\n\n- one\n- two\n\nb\n"),
        ("<ol><li>one</li><li>two</li></ol>", "1. one\n2. two\n"),
        ('<ol start="9"><li>a<li>b<br>c</ol>', "9. a\n10. b\n    c\n"),
        ('<ol start="x"><li>a</ol>', "1. a\n"),
        ("<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>", "- a\n  - b\n    1. c\n- d\n"),
        ("<ul><li>a<p>b</p></li><li>c</ul>", "- a\n\n  b\n\n- c\n"),
        ("<ul><li></li><li>x</ul>", "- x\n"),
        ("<li>no list", "- no list\n"),
        ("<ul><li><blockquote>q</blockquote>r</ul>", "- > q\n\n  r\n"),
        ("</ul></li></blockquote>x", "x\n"),
        ("<ul><li>a</ul></li>b", "- a\n\nb\n"),
        ("<ul><li>a<ul></li>b</ul></ul>c", "- a\n  b\n\nc\n"),
        ("<blockquote>a</blockquote>b", "> a\n\nb\n"),
        ("a<blockquote><p>b</p><p>c<br>d</p></blockquote>", "a\n\n> b\n>\n> c\n> d\n"),
        ("<blockquote>a<blockquote>b</blockquote>c</blockquote>d", "> a\n>\n> > b\n>\n> c\n\nd\n"),
        ("<blockquote>a<ul><li>b</blockquote>c", "> a\n>\n> - b\n\nc\n"),
        ("<pre>\n a\n  b\n\n\nc </pre>d", " a\n  b\n\n\nc\n\nd\n"),
        ("<pre>a<b>b</b>\n</pre><pre>c</pre>", "ab\n\nc\n"),
        ("</pre>a  b", "a b\n"),
        ("<blockquote><pre>a\n\nb</pre></blockquote>", "> a\n>\n> b\n"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1<td> 2 </tr></table>c", "a | b\n1 | 2\nc\n"),
        ("<table><tr><td></td><td>a</td><td><p>b</p></td><td>c</td></tr></table>", "a\n\nb\n\nc\n"),
        ("<dl><dt>a<dd>b</dl>", "a\nb\n"),
    ],
)
def test_structure(markup: str, text: str) -> None:
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('<a href="https://a.example/x?a=1&amp;b=2">here</a>.', "here <https://a.example/x?a=1&b=2>.\n"),
        ("<a href='https://a.example/'>https://a.example</a>", "https://a.example\n"),
        ("<a href=https://a.example>a.example</a> x", "a.example x\n"),
        ('<a href="mailto:a@b">a@b</a>', "a@b\n"),
        ('<a href="mailto:a@b">Jane</a>', "Jane <mailto:a@b>\n"),
        ('<a href="u">one <b>two</b></a>, three', "one two <u>, three\n"),
        ('<a href="#top">top</a> <a href="JavaScript:x()">go</a> <a name="x">y</a>', "top go y\n"),
        ('<a href="u"><img alt="Logo"></a>', "Logo <u>\n"),
        ('<a href="u"><img src=x></a>', "<u>\n"),
        ('<a href="u">one<a href="v">two</a>', "one <u>two <v>\n"),
        ('<a href="u">one', "one <u>\n"),
        ('<a href=" a\n b ">x</a>', "x <ab>\n"),
        ('x<img alt=" An image " src="cid:x">y<img src=x><img alt="">', "x An image y\n"),
    ],
)
def test_links_and_images(markup: str, text: str) -> None:
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('<div style="display:none">x<div>y</div>z</div>a', "a\n"),
        ("<div style='color: red; DISPLAY : None;'>x</div>a", "a\n"),
        ('<span style="visibility:hidden">x</span>a', "a\n"),
        ("<p hidden>a<p>b", "b\n"),
        ("<p hidden>a<p hidden>b<p>c", "c\n"),
        ("<div hidden>a", ""),
        ("<img hidden alt=x>a<br hidden>b", "ab\n"),
        ('<div style="color: red">x</div>', "x\n"),
        ("<head>x<b>y</b></head>z", "z\n"),
        ("<template><p>x</p></template>z", "z\n"),
        ("<embed>x", "x\n"),
    ],
)
def test_hidden(markup: str, text: str) -> None:
    assert text_of(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("5 < 6 and 7 > 3, <3", "5 < 6 and 7 > 3, <3\n"),
        ('<b title="a > b">x</b>', "x\n"),
        ("<b title='a > b'>x</b>", "x\n"),
        ('<p title="open>x</p><p>y</p>', "x\n\ny\n"),
        ("a <b", "a <b\n"),
        ("a <b <i>c</i>", "a c\n"),
        ("</", "</\n"),
        ("<", "<\n"),
        ("a</ b>c", "a</ b>c\n"),
        ("<x-own>a</x-own>", "a\n"),
        (f"<{'x' * 100}>a", "a\n"),
        ("a<b/>c<b / >d", "acd\n"),
        ("&#xD800; &#0; &#1114112; x", "\ufffd \ufffd \ufffd x\n"),
    ],
)
def test_broken(markup: str, text: str) -> None:
    assert text_of(markup) == text


def test_a_newsletter() -> None:
    markup = """<!DOCTYPE html>
    <html><head><meta charset="utf-8"><title>News</title><style>p { color: red }</style></head>
    <body><div style="display:none;max-height:0">Preview&zwnj;&nbsp;&zwnj;</div>
      <table width="600"><tr><td>
        <a href="https://a.example/"><img src="logo.png" alt="A Shop"></a>
      </td></tr><tr><td>
        <h1>Hello, Jane</h1>
        <p>Your order <b>4711</b>
           is on its way.</p>
        <table><tr><td>Kettle</td><td>2</td></tr><tr><td>Tea</td><td>10</td></tr></table>
      </td></tr></table>
      <p><small><a href="https://a.example/u">Unsubscribe</a></small></p>
    </body></html>"""
    assert text_of(markup) == (
        "A Shop <https://a.example/>\n\nHello, Jane\n\nYour order 4711 is on its way.\n\nKettle | 2\nTea | 10\n\n"
        "Unsubscribe <https://a.example/u>\n"
    )


TAGS = [
    *(
        "<p>",
        "</p>",
        "<ul>",
        "<ol start=3>",
        "</ul>",
        "<li>",
        "</li>",
        "<blockquote>",
        "</blockquote>",
        "<pre>",
        "</pre>",
    ),
    *(
        "<a href=x>",
        "</a>",
        "<div hidden>",
        "</div>",
        "<td>",
        "<tr>",
        "<br>",
        "<hr>",
        "<img alt=y>",
        "<script>",
        "</script>",
    ),
    *("x", " ", "\n", "&amp;", "<", ">", '"', "<!--", "-->", "<p hidden>", "é"),
]


@given(st.text() | st.lists(st.sampled_from(TAGS)).map("".join))
def test_whatever_comes(markup: str) -> None:
    text = text_of(markup)
    assert text == "" or text.endswith("\n")
    assert not any(line != line.rstrip() for line in text.split("\n") if "\x1c" not in markup)
    text.encode()
    assert text_of(markup.replace("\n", "\r\n")) == text


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "<",
            "<a ",
            '<a "',
            "<a '\"",
            "<!--",
            "<!",
            "</",
            "<x",
            "<b>",
            "<blockquote>",
            "<blockquote>x",
            "<ul><li>x",
            "<td>x",
        ),
        *(
            "<div hidden>",
            "<p hidden>",
            "</div>",
            "<a href=x>y",
            "<script>",
            "<script></script ",
            "&",
            "&amp",
            "&#x",
            "<pre>\n",
        ),
        *(
            "<a b=",
            '<a b="',
            " ",
            "\n",
            "<br>",
            "</blockquote>",
            "<blockquote><li>",
            "<title></titl",
            "<ol><li>",
            "<img alt=x>",
        ),
    ],
)
def test_hostile_repetition(unit: str) -> None:
    repeated = unit * 20_000
    for markup in (
        repeated,
        f"<p>{repeated}>",
        f'<p style="{repeated}">',
        f"<p {repeated}>",
        repeated + "</blockquote>" * 20_000,
    ):
        assert len(text_of(markup)) <= 50 * len(markup) + 100


def test_a_link_without_end_is_not_copied_over_and_over() -> None:
    assert len(text_of("<a href=x>" + "<b>y</b>" * 50_000)) < 120_000
