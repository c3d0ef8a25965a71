"""Templates: what they become, and that nothing gets lost or in on the way."""

# ruff: noqa: ANN401 - values of any kind
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.template import Rendered, Templates
from smtpx.message.compose import Message, MessageError
from smtpx.wire.syntax import escape


def render(sources: dict[str, str], name: str = "t", /, **context: Any) -> Rendered:
    return Templates(sources).render(name, context)


def test_html_is_escaped_and_text_is_not() -> None:
    rendered = render({"t.html": "<p>{{ a }}", "t.txt": "{{ a }}"}, a="<b> & 'c'")
    assert rendered.fields == {"html": "<p>&lt;b&gt; &amp; &#39;c&#39;", "text": "<b> & 'c'"}


@pytest.mark.parametrize("name", ["t.html", "t.htm", "t.xhtml"])
def test_a_name_with_its_suffix(name: str) -> None:
    assert render({name: "{{ a }}", "t.txt": "no"}, name, a="<").fields == {"html": "&lt;"}
    assert render({"t.html": "no", "t.txt": "{{ a }}"}, "t.txt", a="<").fields == {"text": "<"}


def test_the_subject_is_a_block() -> None:
    html = "<title>{% block subject %}A &amp; {{ a }}{% endblock %}</title><p>"
    assert render({"t.html": html}, a="<B>").fields == {
        "html": "<title>A &amp; &lt;B&gt;</title><p>",
        "subject": "A & <B>",
    }
    text = "{% block subject %}\n  About\n  {{ a }}\n{% endblock %}\n\nDear {{ a }}\n"
    assert render({"t.txt": text}, a="<B>").fields == {"text": "Dear <B>\n", "subject": "About <B>"}
    assert render({"t.html": html, "t.txt": text}, a="x").subject == "About x"


def test_the_subject_of_a_parent_and_of_a_child() -> None:
    base = "{% block subject %}Base {{ a }}{% endblock %}[{% block body %}{% endblock %}]"
    plain = "{% extends 'base.txt' %}{% block body %}x{% endblock %}"
    own = "{% extends 'base.txt' %}{% block subject %}Own, {{ super() }}{% endblock %}"
    sources = {"base.txt": base, "plain.txt": plain, "own.txt": own}
    assert render(sources, "plain", a=1).fields == {"subject": "Base 1", "text": "[x]"}
    assert render(sources, "own", a=1).fields == {"subject": "Own, Base 1", "text": "[]"}


def test_p11_a_subject_is_one_line() -> None:
    rendered = render({"t.txt": "{% block subject %}{{ a }}{% endblock %}x"}, a="Hi\r\nBcc: x@y.example")
    assert rendered.subject == "Hi Bcc: x@y.example"
    with pytest.raises(MessageError, match="subject"):
        Message(subject=render({"t.txt": "{% block subject %}{{ a }}{% endblock %}x"}, a="a\0b").subject)


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ({}, r"t: TemplateNotFound: there is no t\.html and no t\.txt"),
        ({"t.txt": "{{ missing }}"}, "t: UndefinedError: 'missing' is undefined"),
        ({"t.html": "\n{% if %}"}, r"t: TemplateSyntaxError: .* \(line 2\)"),
        ({"t.txt": "{% include 'other.txt' %}"}, r"t: TemplateNotFound: .*other\.txt"),
        ({"t.html": "{% extends 'base.html' %}"}, r"t: TemplateNotFound: .*base\.html"),
    ],
)
def test_what_can_not_be_rendered(sources: dict[str, str], text: str) -> None:
    with pytest.raises(MessageError, match=text) as caught:
        render(sources)
    assert caught.value.findings[0].field == "template"
    with pytest.raises(MessageError, match=r"t\.txt: TemplateNotFound"):
        render({}, "t.txt")


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "t.html").write_text("{{ a }}")
    assert Templates(tmp_path).render("t", {"a": "<"}).fields == {"html": "&lt;"}
    with pytest.raises(MessageError, match="TemplateNotFound"):
        Templates(tmp_path).render("../t", {})
    with pytest.raises(ConfigurationError, match="is not a directory"):
        Templates(tmp_path / "t.html")


@pytest.mark.parametrize("part", ["part.html", "part.HTML", "part.html.j2", "part.jinja", "part", "part.txt.html"])
def test_what_a_page_includes_and_imports_is_escaped_too(part: str) -> None:
    sources = {part: "{{ a }}", f"macros.{part}": "{% macro m(x) %}[{{ x }}]{% endmacro %}"}
    sources["t.html"] = f"{{% import 'macros.{part}' as parts %}}{{{{ parts.m(a) }}}}{{% include '{part}' %}}"
    assert render(sources, a="<b>").html == "[&lt;b&gt;]&lt;b&gt;"


def test_an_environment_of_ones_own() -> None:
    environment = jinja2.Environment(loader=jinja2.DictLoader({"t.txt": "{{ a }}!"}), autoescape=True)
    assert Templates(environment).render("t", {}).fields == {"text": "!"}
    with pytest.raises(ConfigurationError, match="enable_async"):
        Templates(jinja2.Environment(enable_async=True, autoescape=True))
    with pytest.raises(TypeError, match="not str"):
        Templates("templates")  # type: ignore[arg-type]


def test_style_sheets_go_into_attributes(tmp_path: Path) -> None:
    (tmp_path / "x.css").write_text("p { color: blue }")
    html = (
        f"<head><link rel='stylesheet' href='{tmp_path}/x.css'><link rel='stylesheet' href='http://127.0.0.1:9/x.css'>"
        "<style>p { color: red } @media print { p { color: black } }</style></head><p>{{ a }}"
    )
    rendered = Templates({"t.html": html}, inline_css=True).render("t", {"a": "ü & <"})
    markup = rendered.html or ""
    assert '<p style="color: red;">ü &amp; &lt;</p>' in markup
    assert "@media print" in markup
    assert "blue" not in markup
    assert "style=" not in (render({"t.html": html}, a="x").html or "")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    directory = tmp_path / "images"
    (directory / "sub").mkdir(parents=True)
    (directory / "logo.png").write_bytes(b"\x89PNG")
    (directory / "sub" / "a b&c.gif").write_bytes(b"GIF8")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return directory


def test_local_images_become_inline_parts(images: Path) -> None:
    html = (
        "<img alt='x' src='logo.png'><IMG SRC=\"sub/a b&amp;c.gif\"><img src='logo.png?v=2'><img src='logo.png'>"
        "<img src='https://a.example/x.png'><img src='cid:own'><img src='data:image/png;base64,x'><img src=''>"
    )
    rendered = Templates({"t.html": html}, images=images).render("t", {})
    assert rendered.html == (
        '<img alt=\'x\' src="cid:1.logo.png"><IMG SRC="cid:2.a-b-c.gif"><img src="cid:3.logo.png">'
        '<img src="cid:1.logo.png">'
        "<img src='https://a.example/x.png'><img src='cid:own'><img src='data:image/png;base64,x'><img src=''>"
    )
    assert {cid: each.name for cid, each in rendered.images.items()} == {
        "1.logo.png": "logo.png",
        "2.a-b-c.gif": "a b&c.gif",
        "3.logo.png": "logo.png",
    }
    message = Message(from_="a@b.example", to="c@d.example", html=rendered.html, inline=rendered.images)
    message.with_(html=(rendered.html or "").replace("cid:own", "")).check(strict=True)


@pytest.mark.parametrize("name", ["nothing.png", "../secret.png", "/etc/passwd", "sub", "a\0b.png", "x" * 5_000])
def test_1_3_a_missing_image_is_an_error_unless_allowed(images: Path, name: str) -> None:
    sources = {"t.html": f"<img src='{name}'><img src='logo.png'>"}
    with pytest.raises(MessageError) as caught:
        Templates(sources, images=images).render("t", {})
    assert caught.value.findings[0].text == f"t: no image {escape(name)}"
    rendered = Templates(sources, images=images, allow_missing_images=True).render("t", {})
    assert rendered.missing == (name,)
    assert rendered.html == f"<img src='{name}'><img src=\"cid:1.logo.png\">"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "css_inline", None)
    with pytest.raises(ConfigurationError, match=r"inline_css: this needs smtpx\[templates-html\]"):
        Templates({}, inline_css=True)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigurationError, match=r"templates: this needs smtpx\[templates\]"):
        Templates({})
