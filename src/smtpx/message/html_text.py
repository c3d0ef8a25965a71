"""Plain text from HTML, for readers that show none: structure as people type it, nothing that was hidden.

Own scanner: `html.parser` of the older Pythons takes quadratic time for some broken input (CVE-2025-6069).

>>> print(text_of('<h1>Hi</h1><p>See <a href="https://a.example/">our page</a>:<ul><li>one<li>two</ul>'))
Hi
<BLANKLINE>
See our page <https://a.example/>:
<BLANKLINE>
- one
- two
<BLANKLINE>
"""

import html
import re
from collections.abc import Callable, Iterator
from typing import ClassVar

__all__ = ["text_of"]

_MAX_DEPTH = 20  # of quotes and lists that are shown as such
# fmt: off
_APART = frozenset({"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre"})
_BLOCKS = frozenset({
    "address", "article", "aside", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "legend", "li", "main", "nav", "section", "summary", "table",
    "tbody", "tfoot", "thead", "tr",
})
_DROPPED = frozenset({
    "audio", "canvas", "datalist", "embed", "frameset", "head", "iframe", "map", "math", "object", "select", "svg",
    "template", "video",
})
_RAW = frozenset({"noembed", "noframes", "script", "style", "textarea", "title", "xmp"})  # no tags within
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})
# fmt: on
_LEFT_OUT = _DROPPED | _RAW
# How many line ends there are at least before and behind an element.
_BREAKS = dict.fromkeys(_APART, 2) | dict.fromkeys(_BLOCKS, 1)
_NO_ATTRIBUTES: dict[str, str] = {}
_ENDS_ITSELF = frozenset({"p", "dt", "dd", "option"})  # by the next of its kind

# Possessive: each is tried once at each place, and what fails for want of an end is not tried again.
# Text, and the tag behind it.
_TAG = re.compile(r"""([^<]*+)<(/?)([A-Za-z][^\s/>]{0,40}+)((?:[^"'>]++|"[^"]*+"|'[^']*+')*+)>""")
_LOOSE_TAG = re.compile(r"([^<]*+)<(/?)([A-Za-z][^\s/>]{0,40}+)([^<>]*+)>")
_ATTRIBUTE = re.compile(r"""([^\s=/"'>]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]++)))?+""")
_INVISIBLE = re.compile(r"(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden)", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,6}")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u2028\u2029\u2060\ud800-\udfff\ufeff]")


def text_of(markup: str) -> str:
    """The text of an HTML document or a piece of one, lines ending in LF. Never raises.

    Paragraphs are apart, lists have bullets or numbers, quotes `> `, links their address behind them, images their
    alternative text, tables a line for each row. What is hidden, scripts and styles are left out. The time it takes is
    proportional to the length.
    """
    writer = _Writer()
    for text, is_end, name, attributes in _scan(_UNWANTED.sub("", markup.replace("\r\n", "\n").replace("\r", "\n"))):
        if text:
            writer.text(html.unescape(text) if "&" in text else text)
        if is_end:
            writer.end(name)
        elif name:
            writer.start(name, attributes)
    return writer.finish()


_Event = tuple[str, str, str, str]  # text; behind it a slash if it is an end, the name, its attributes


def _scan(markup: str) -> Iterator[_Event]:
    position, pattern = 0, _TAG
    while position < len(markup):
        match = pattern.match(markup, position)
        if match is not None:
            text, slash, name, attributes = match.groups()
            name, position = name.lower(), match.end()
            yield text, slash, name, attributes
            if name in _RAW and not slash:
                position = _end_of_raw(markup, name, position)
                yield "", "/", name, ""
            continue
        start = markup.find("<", position)
        if start < 0:
            yield markup[position:], "", "", ""
            return
        if markup.startswith(("<!", "<?"), start):
            yield markup[position:start], "", "", ""
            position = _end_of_declaration(markup, start)
        elif pattern is _TAG and _opens_tag(markup, start):
            pattern = _LOOSE_TAG  # a quote, or a tag, that does not end: nor will another
        else:
            yield markup[position:start], "", "", ""
            yield "<", "", "", ""
            position = start + 1


def _opens_tag(markup: str, start: int) -> bool:
    following = markup[start + 1 : start + 3].removeprefix("/")[:1]
    return following.isascii() and following.isalpha()


def _end_of_declaration(markup: str, start: int) -> int:
    is_comment = markup.startswith("<!--", start)
    end = markup.find("-->" if is_comment else ">", start + 2)
    return len(markup) if end < 0 else end + (3 if is_comment else 1)


def _end_of_raw(markup: str, name: str, position: int) -> int:
    match = re.compile(rf"</{name}[^>]*+>?", re.IGNORECASE).search(markup, position)
    return len(markup) if match is None else match.end()


def _attributes(text: str) -> dict[str, str]:
    found = dict[str, str]()
    for match in _ATTRIBUTE.finditer(text):
        found.setdefault(match[1].lower(), html.unescape(match[2] or match[3] or match[4] or ""))
    return found


class _Lines:
    """Lines in the making, with what stands before each: quotes and the indentation of lists."""

    def __init__(self) -> None:
        self._done = list[str]()
        self._line = list[str]()
        self._prefixes = list[str]()
        self._shown = ""  # the prefixes, joined
        self._lowest = ""  # the shortest of these since the last text: blank lines have it
        self._marker: str | None = None  # of an item without text so far
        self._marked = 0  # which prefix that is instead of
        self._breaks = 0
        self._blank = ""

    def push(self, prefix: str, marker: str | None = None) -> None:
        """From here on `prefix` stands before each line, `marker` in place of it before the first."""
        self._prefixes.append(prefix if len(self._prefixes) < _MAX_DEPTH else "")
        self._shown = "".join(self._prefixes[:_MAX_DEPTH])
        if marker is not None:
            self._marker, self._marked = marker, len(self._prefixes) - 1

    def pop(self) -> None:
        """No longer."""
        self._prefixes.pop()
        self._shown = "".join(self._prefixes[:_MAX_DEPTH])
        if len(self._prefixes) <= self._marked:
            self._marker = None
        self._lowest = min(self._lowest, self._shown, key=len)

    def wish(self, breaks: int) -> None:
        """At least as many line ends before the next text; two make an empty line."""
        if breaks > self._breaks:
            self._breaks = breaks
        self._blank = ""

    def end_line(self, at_most: int) -> None:
        """One more line end, but not more than `at_most`."""
        self.wish(min(self._breaks + 1, at_most))

    @property
    def is_at_start(self) -> bool:
        """Whether the next text begins a line."""
        return self._breaks > 0 or not self._line

    def blank(self, text: str = " ") -> None:
        """This before the next text, if that stands on the same line."""
        if not self.is_at_start and len(text) > len(self._blank):
            self._blank = text

    def put(self, text: str) -> None:
        """Text that goes on where the last one ended."""
        if self._breaks or not self._line:
            self._begin()
        else:
            self._line.append(self._blank)
        self._line.append(text)
        self._blank = ""

    def _begin(self) -> None:
        if self._line:
            self._done.append("".join(self._line).rstrip())
            self._done += [min(self._lowest, self._shown, key=len).rstrip()] * (self._breaks - 1)
        start = self._shown
        if self._marker is not None:
            shown = self._prefixes[:_MAX_DEPTH]
            shown[self._marked : self._marked + 1] = [self._marker]
            start = "".join(shown)
        self._line, self._breaks, self._lowest, self._marker = [start], 0, self._shown, None

    def finish(self) -> str:
        """All of it."""
        if self._line:
            self._done.append("".join(self._line).rstrip())
        return "".join(f"{line}\n" for line in self._done).replace("\xa0", " ")


class _Writer:
    """Turns tags and text into lines."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._hidden = ""  # the element that is left out, and how many of its name are open
        self._hidden_depth = 0
        self._preformatted = 0
        self._kinds = list[str]()  # of what is open: quote, list, item
        self._counts = dict[str, int]()  # the same, counted
        self._numbers = list[int]()  # of each list: the number of the next item, 0 for bullets
        self._link = ""
        self._link_text = list[str]()

    def finish(self) -> str:
        """The text."""
        self._end_link()
        return self._lines.finish()

    def text(self, text: str) -> None:
        """What stands between tags."""
        if self._hidden:
            return
        if self._preformatted:
            self._lines_of(text)
            return
        words = _BLANKS.sub(" ", text) if "  " in text or not text.isprintable() else text
        if words.startswith(" "):
            self._lines.blank()
        if stripped := words.strip(" "):
            self._put(stripped)
            if words.endswith(" "):
                self._lines.blank()

    def _put(self, text: str) -> None:
        if self._link:
            self._link_text.append(text)
        self._lines.put(text)

    def _lines_of(self, text: str) -> None:
        for index, line in enumerate(text.split("\n")):
            if index:
                self._lines.end_line(len(text) + 2)
            if line:
                self._put(line)

    def start(self, name: str, written: str) -> None:
        """A tag."""
        if self._hidden:
            if name == self._hidden and name not in _VOID:
                self._hidden_depth += name not in _ENDS_ITSELF
            if not (name == self._hidden and name in _ENDS_ITSELF):
                return
            self._hidden = ""
        attributes = _attributes(written) if written.strip(" /") else _NO_ATTRIBUTES
        if name in _LEFT_OUT or (attributes and _is_hidden(attributes)):
            if name not in _VOID:
                self._hidden, self._hidden_depth = name, 1
            return
        if breaks := _BREAKS.get(name):
            self._lines.wish(breaks)
        if (begin := self._BEGIN.get(name)) is not None:
            begin(self, attributes)

    def end(self, name: str) -> None:
        """The end of an element."""
        if self._hidden:
            self._hidden_depth -= name == self._hidden
            if not self._hidden_depth:
                self._hidden = ""
            return
        if (end := self._END.get(name)) is not None:
            end(self)
        if breaks := _BREAKS.get(name):
            self._lines.wish(breaks)

    def _begin_link(self, attributes: dict[str, str]) -> None:
        self._end_link()
        url = attributes.get("href", "").strip()
        self._link = "" if url.lower().startswith(("#", "javascript:")) else _BLANKS.sub("", url)

    def _end_link(self) -> None:
        url, text = self._link, " ".join(self._link_text)
        self._link, self._link_text = "", []
        if url and _bare(url) != _bare(text):
            self._lines.blank()
            self._lines.put(f"<{url}>")

    def _image(self, attributes: dict[str, str]) -> None:
        self.text(attributes.get("alt", ""))

    def _break(self, _: dict[str, str]) -> None:
        self._lines.end_line(2)

    def _rule(self, _: dict[str, str]) -> None:
        self._lines.put("-" * 20)
        self._lines.wish(2)

    def _begin_pre(self, _: dict[str, str]) -> None:
        self._preformatted += 1

    def _end_pre(self) -> None:
        self._preformatted = max(0, self._preformatted - 1)

    def _open(self, kind: str, prefix: str = "", marker: str | None = None) -> None:
        self._kinds.append(kind)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._lines.push(prefix, marker)

    def _close(self, kind: str) -> None:
        """End the innermost of this kind, with all that was left open within it."""
        while self._counts.get(kind):
            closed = self._kinds.pop()
            self._counts[closed] -= 1
            self._lines.pop()
            if closed == "list":
                self._numbers.pop()
            if closed == kind:
                return

    def _begin_quote(self, _: dict[str, str]) -> None:
        self._open("quote", "> ")

    def _end_quote(self) -> None:
        self._close("quote")

    def _cell(self, _: dict[str, str]) -> None:
        self._lines.blank(" | ")

    def _begin_bullets(self, _: dict[str, str]) -> None:
        self._begin_list(0)

    def _begin_numbers(self, attributes: dict[str, str]) -> None:
        start = attributes.get("start", "")
        self._begin_list(int(start) if _NUMBER.fullmatch(start) else 1)

    def _begin_list(self, number: int) -> None:
        self._lines.wish(1 if self._numbers else 2)
        self._open("list")
        self._numbers.append(number)

    def _end_list(self) -> None:
        self._close("list")
        self._lines.wish(1 if self._numbers else 2)

    def _begin_item(self, _: dict[str, str]) -> None:
        if self._kinds and self._kinds[-1] == "item":
            self._close("item")
        marker = "- "
        if self._numbers and self._numbers[-1]:
            marker = f"{self._numbers[-1]}. "
            self._numbers[-1] += 1
        self._open("item", " " * len(marker), marker)

    def _end_item(self) -> None:
        if self._kinds and self._kinds[-1] != "list":
            self._close("item")

    _BEGIN: ClassVar[dict[str, Callable[["_Writer", dict[str, str]], None]]] = {
        "a": _begin_link,
        "img": _image,
        "br": _break,
        "hr": _rule,
        "pre": _begin_pre,
        "blockquote": _begin_quote,
        "td": _cell,
        "th": _cell,
        "ul": _begin_bullets,
        "ol": _begin_numbers,
        "li": _begin_item,
    }
    _END: ClassVar[dict[str, Callable[["_Writer"], None]]] = {
        "a": _end_link,
        "pre": _end_pre,
        "blockquote": _end_quote,
        "ul": _end_list,
        "ol": _end_list,
        "li": _end_item,
    }


def _is_hidden(attributes: dict[str, str]) -> bool:
    return "hidden" in attributes or _INVISIBLE.search(attributes.get("style", "")) is not None


def _bare(url: str) -> str:
    """What people write of an address: without scheme and the last slash."""
    return url.removeprefix("mailto:").removeprefix("https://").removeprefix("http://").removesuffix("/").strip()
