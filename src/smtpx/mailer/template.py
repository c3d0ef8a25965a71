"""Messages from Jinja2 templates: subject, text and HTML, with style sheets and images where clients understand them.

Needs smtpx[templates], and smtpx[templates-html] for style sheets.

>>> templates = Templates({"hello.html": "<title>{% block subject %}Hello {{ name }}{% endblock %}</title>"})
>>> templates.render("hello", {"name": "Tom & Jerry"}).subject
'Hello Tom & Jerry'
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smtpx.errors import ConfigurationError
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Finding, MessageError
from smtpx.wire.syntax import escape

if TYPE_CHECKING:
    import jinja2
    from jinja2.runtime import Context

__all__ = ["Rendered", "Templates"]

_HTML_SUFFIXES = (".html", ".htm", ".xhtml")
_SUFFIXES = (*_HTML_SUFFIXES, ".txt")
_IMAGE = re.compile(r"""(<img\b[^>]*?\ssrc\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)
_ELSEWHERE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|//|#|$)")  # a URI of its own; or nothing
_NOT_IN_CID = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template has become.

    Attributes:
        subject, text, html: those that there are.
        images: what the HTML shows, by cid.
        missing: images that were not found, where that is allowed.
    """

    subject: str | None = None
    text: str | None = None
    html: str | None = None
    images: Mapping[str, Attachment] = field(default_factory=dict[str, Attachment])
    missing: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """Subject, text and HTML as arguments of a message, those that there are."""
        found = {"subject": self.subject, "text": self.text, "html": self.html}
        return {name: text for name, text in found.items() if text is not None}


class Templates:
    """Templates for messages. `welcome` is `welcome.html`, `welcome.txt`, or both; a name with its suffix is that one.

    The subject is the block `subject` of either; in text it stands nowhere else, in HTML it stays where it is, such as
    in `<title>`. A variable that is not there is an error. What is put into a template is escaped in all but `.txt`: in
    HTML, and in what it includes or imports, unless that is a `.txt`, which is for text only.

    Args:
        source: a directory, templates by name, or a Jinja2 environment of yours, which then decides on escaping.
        inline_css: move style sheets into `style` attributes, which is what many clients need. Nothing is fetched.
        images: the directory of images that the HTML names by relative paths; they are shown as inline parts.
        allow_missing_images: leave those alone that are not there; else they are an error.

    Raises:
        ConfigurationError: if Jinja2 is missing, or css-inline where it is wanted; or the directory is none.
    """

    def __init__(
        self,
        source: "Path | Mapping[str, str] | jinja2.Environment",
        *,
        inline_css: bool = False,
        images: Path | None = None,
        allow_missing_images: bool = False,
    ) -> None:
        self._environment = _environment(source)
        self._inline_css = _inliner() if inline_css else None
        self._images = images.resolve() if images is not None else None
        self._allow_missing = allow_missing_images

    def render(self, name: str, context: Mapping[str, Any]) -> Rendered:
        """Render a template.

        Raises:
            MessageError: if there is none of this name, it can't be rendered, or an image is missing.
        """
        import jinja2

        fields, images, missing = dict[str, str](), dict[str, Attachment](), list[str]()
        try:
            for template in self._named(name):
                self._render(template, context, fields)
        except jinja2.TemplateError as error:
            where = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            text = f"{type(error).__name__}: {error.message or error}{where}"
            raise MessageError([Finding.of("template", name, f"{name}: {text}")]) from error
        markup = fields.get("html")
        if markup is not None:
            if self._inline_css is not None:
                markup = self._inline_css(markup)
            if self._images is not None:
                markup = self._with_images(markup, self._images, images, missing)
            fields["html"] = markup
        if missing and not self._allow_missing:
            raise MessageError([Finding.of("template", each, f"{name}: no image {escape(each)}") for each in missing])
        return Rendered(**fields, images=images, missing=tuple(missing))

    def _named(self, name: str) -> "list[jinja2.Template]":
        """HTML first, so that a subject in the text, which needs no unescaping, counts more."""
        import jinja2

        if name.endswith(_SUFFIXES):
            return [self._environment.get_template(name)]
        found = list[jinja2.Template]()
        for suffix in (".html", ".txt"):
            with suppress(jinja2.TemplateNotFound):
                found.append(self._environment.get_template(name + suffix))
        if not found:
            raise jinja2.TemplateNotFound(name, f"there is no {name}.html and no {name}.txt")
        return found

    def _render(self, template: "jinja2.Template", context: Mapping[str, Any], fields: dict[str, str]) -> None:
        is_html = str(template.name).endswith(_HTML_SUFFIXES)
        variables = template.new_context(dict(context))
        subject = _SubjectBlock(variables, shown=is_html)
        content = self._environment.concat(template.root_render_func(variables))
        if is_html:
            fields["html"] = content
        else:
            fields["text"] = content.lstrip("\n")
        if subject.text is not None:
            line = " ".join(subject.text.split())
            fields["subject"] = html.unescape(line) if is_html else line

    def _with_images(self, markup: str, directory: Path, images: dict[str, Attachment], missing: list[str]) -> str:
        cids = dict[str, str]()

        def shown(match: re.Match[str]) -> str:
            name = html.unescape(match[2][1:-1]).strip()
            if _ELSEWHERE.match(name):
                return match[0]
            if name not in cids:
                path = _inside(directory, name)
                if path is None:
                    missing.append(name)
                    return match[0]
                cids[name] = cid = f"{len(cids) + 1}.{_NOT_IN_CID.sub('-', path.name)}"
                images[cid] = Attachment(path, disposition="inline")
            return f'{match[1]}"cid:{cids[name]}"'

        return _IMAGE.sub(shown, markup)


class _SubjectBlock:
    """Stands in for the block `subject` of a template being rendered, and keeps what it says.

    Attributes:
        text: that; None if there is no such block.
    """

    def __init__(self, context: "Context", *, shown: bool) -> None:
        self.text: str | None = None
        self._shown = shown
        self._blocks = context.blocks.setdefault("subject", [])
        self._blocks.insert(0, self._render)

    def _render(self, context: "Context") -> Iterator[str]:
        self.text = "".join(self._blocks[1](context))
        if self._shown:
            yield self.text


def _inside(directory: Path, name: str) -> Path | None:
    """The file of a relative path in a directory; None if it is not there, or not in it."""
    try:
        path = (directory / name.partition("?")[0]).resolve()
        return path if path.is_relative_to(directory) and path.is_file() else None
    except (OSError, ValueError):  # too long, or with a NUL: no name of a file
        return None


def _environment(source: "Path | Mapping[str, str] | jinja2.Environment") -> "jinja2.Environment":
    try:
        import jinja2
    except ImportError as error:
        raise ConfigurationError("templates: this needs smtpx[templates]: pip install 'smtpx[templates]'") from error
    if isinstance(source, jinja2.Environment):
        if source.is_async:
            raise ConfigurationError("templates: an environment with enable_async is not rendered here")
        return source
    if isinstance(source, Path):
        if not source.is_dir():
            raise ConfigurationError(f"templates: {source} is not a directory")
        loader: jinja2.BaseLoader = jinja2.FileSystemLoader(source)
    elif hasattr(source, "keys"):
        loader = jinja2.DictLoader(source)
    else:
        raise TypeError(f"templates are a Path, a mapping or an Environment, not {type(source).__name__}")
    return jinja2.Environment(
        loader=loader,
        autoescape=jinja2.select_autoescape((), ("txt",), default=True),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )


def _inliner() -> Callable[[str], str]:
    try:
        import css_inline
    except ImportError as error:
        text = "inline_css: this needs smtpx[templates-html]: pip install 'smtpx[templates-html]'"
        raise ConfigurationError(text) from error
    # Media queries can't stand in attributes, and are kept; what a message shows is not fetched from anywhere.
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True).inline
