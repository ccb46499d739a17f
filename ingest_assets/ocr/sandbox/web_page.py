"""Web pages: the text that a browser shows.

Belongs here: which elements show, and where lines end. Does not belong here: what style sheets say
(`web_styles`), and pictures (`web_documents`).
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest_assets.identification.characters import PROLOGUE
from ingest_assets.ocr.sandbox import mathml
from ingest_assets.ocr.sandbox.encodings import Decoded, decode, decode_stated
from ingest_assets.ocr.sandbox.numerals import written
from ingest_assets.ocr.sandbox.web_styles import Style, content_of, stated_styles, style_of
from ingest_assets.text import SOFT_HYPHEN, clean_text

_NOT_SHOWN = frozenset(
    (
        *("script", "style", "template", "noscript", "head", "title", "meta", "link"),
        *("embed", "iframe", "canvas", "audio", "video", "datalist", "noframes", "metadata", "desc"),
        *("meter", "progress", "annotation", "annotation-xml"),
    )
)
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details"),
        *("dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form"),
        *("frameset", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend"),
        *("li", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre", "search", "section"),
        *("select", "summary", "svg", "table", "tbody", "text", "tfoot", "thead", "tr", "ul"),
    )
)
_PREFORMATTED = frozenset(("pre", "textarea", "listing", "plaintext", "xmp"))
_PLACES = frozenset(("x", "y", "dx", "dy"))
_BUTTONS = frozenset(("hidden", "password", "checkbox", "radio", "file", "image", "color", "range"))
# Elements in a line that do not touch what is beside them: buttons, and the tokens of formulas.
_APART = frozenset(("button", "mi", "mn", "mo", "ms", "mtext"))
_AS_BLOCKS = frozenset(("block", "flex", "grid", "list-item", "table", "table-row", "flow-root"))
_SCRIPTLESS = re.compile(r"<noscript\b.*?</noscript\s*>", re.IGNORECASE | re.DOTALL)
_SPACES = re.compile(r"[ \t\n\r\f]+")
# XML's short form of an element that is empty, which in HTML opens one.
_SHORT = re.compile(r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|wbr)\b)(\w+)([^<>]*?)/>")
_NUMBERS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_STYLED_NUMBERS: Mapping[str, str | None] = {
    **dict.fromkeys(("none", "disc", "circle", "square")),
    **{"decimal": "", "lower-alpha": "lowerLetter", "upper-alpha": "upperLetter"},
    **{"lower-latin": "lowerLetter", "upper-latin": "upperLetter"},
    **{"lower-roman": "lowerRoman", "upper-roman": "upperRoman", "decimal-leading-zero": "decimalZero"},
}
_COUNTER = re.compile(r"([A-Za-z_-][\w-]*)(?:\s+(-?\d{1,6}))?")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_FRAMES = ("iframe", "embed", "object", "template")
_PAGE = re.compile(r"data:text/html[^,]*?(;base64)?,(.*)", re.IGNORECASE | re.DOTALL)
_PREFIX = re.compile(r"(</?)svg:")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]+)""", re.IGNORECASE)


def svg_text(markup: str) -> str:
    """Return the words of a drawing."""
    markup = PROLOGUE.sub("", markup, count=1)
    return html_text(_PREFIX.sub(r"\1", markup) if _PREFIX.match(markup) else markup)


def decode_html(data: bytes) -> Decoded:
    """Decode a page: as it says itself, where that is true of all its bytes."""
    stated = _CHARSET.search(data[:4096])
    if stated is not None:
        text = decode_stated(data, stated[1].decode())
        if text is not None:
            return Decoded(text)
    return decode(data)


def as_html(markup: str) -> str:
    """Return a page of XHTML so that what reads HTML sees the same elements."""
    markup = _CDATA.sub(lambda data: escape(data[1]), markup)
    return _SHORT.sub(r"<\1\2></\1>", markup)


def html_text(html: str, sheets: Iterable[str] = (), *, is_styled: bool = True) -> str:
    """Return the text of HTML as a browser shows it: a line each block, a tab between cells.

    Args:
        sheets: style sheets that the page refers to.
        is_styled: whether styles are heeded, the page's own and those of its elements, too.
    """
    # A browser runs scripts, and passes over what is for those that do not.
    parser = LexborHTMLParser(_SCRIPTLESS.sub("", html))
    root = parser.root
    page = _Page(stated_styles(parser, sheets) if is_styled else None)
    # A stack of its own: pages may be nested deeper than Python calls.
    to_show: list[LexborNode | str] = [root] if root is not None else []
    while to_show:
        node = to_show.pop()
        if isinstance(node, str):
            page.end(node)
        elif page.begin(node):
            to_show.append(node.tag or "")
            child = node.last_child
            while child is not None:
                to_show.append(child)
                child = child.prev
    return clean_text("".join(page.pieces).replace(SOFT_HYPHEN, ""))


class _Page:
    """What was shown so far."""

    def __init__(self, styles: Mapping[int, Style] | None) -> None:
        self.pieces: list[str] = []
        self._styles = styles
        # Of each element around: whether it ends its lines, can be seen, has its children side by side.
        self._open: list[tuple[bool, bool, bool]] = [(True, True, False)]
        # Of each element around: the counters that began in it, and what stands behind it.
        self._counting: list[tuple[set[str], Callable[[], str]]] = [(set(), str)]
        self._counters: dict[str, list[int]] = {}
        self._preformatted = 0
        # Of each list around: how its numbers are written, and the last; None where it has none.
        self._lists: list[tuple[str, int] | None] = []
        self._last = "\n"

    def begin(self, node: LexborNode) -> bool:
        """Show a node's own text; tell whether to go on with the nodes in it."""
        tag = node.tag or ""
        if tag == "-text":
            self._text(node.text_content or "")
            return False
        if tag == "br":
            self._show("\n")
            return False
        style = {} if self._styles is None else style_of(node, self._styles)
        if tag in _FRAMES and (inner := _page_within(node)):
            if style.get("display") != "none":
                self._new_line()
                self._show(html_text(inner) + "\n")
        elif _is_hidden(node, tag, style):
            return False
        elif tag == "math" and (equation := _equation(node)):
            self._text(equation)
        elif tag in ("input", "img"):
            if said := _said(node, tag):
                self._text(f" {said} ")
        else:
            self._enter(node, tag, style)
            return True
        return False

    def _enter(self, node: LexborNode, tag: str, style: Style) -> None:
        display, visibility = style.get("display", ""), style.get("visibility")
        _, is_seen, are_apart = self._open[-1]
        is_block = tag in _BLOCKS or display in _AS_BLOCKS or are_apart
        is_seen = is_seen if visibility is None else visibility not in ("hidden", "collapse")
        self._count(style, "")
        self._open.append((is_block, is_seen, display.endswith(("flex", "grid"))))
        attributes = node.attributes if "before" in style or "after" in style else {}
        self._counting.append((set(), lambda: self._beside("after", attributes, style)))
        if is_block:
            self._new_line()
        elif tag in _APART or (tag == "tspan" and not _PLACES.isdisjoint(node.attributes)):
            self._text(" ")
        self._preformatted += tag in _PREFORMATTED
        if tag in ("ol", "ul"):
            self._lists.append(_numbering(node, tag, style))
        elif tag == "li":
            self._number(node, style)
        elif (
            tag == "textarea"
            and not node.text().strip()
            and (hint := node.attributes.get("placeholder"))
        ):
            self._text(hint)
        elif tag in ("option", "optgroup") and (label := node.attributes.get("label")):
            self._text(f"{label} ")
        if before := self._beside("before", attributes, style):
            self._text(before)

    def _beside(self, where: str, attributes: Mapping[str, str | None], style: Style) -> str:
        """Return what a style sheet puts before or after an element's own text."""
        if where not in style and f"{where}-counter-increment" not in style:
            return ""
        self._count(style, f"{where}-")
        pieces = content_of(style.get(where, ""), attributes, self._counters)
        return "".join(
            piece
            if isinstance(piece, str)
            else piece[0].join(written(_STYLED_NUMBERS.get(piece[2]) or "", one) for one in piece[1])
            for piece in pieces
        )

    def _count(self, style: Style, where: str) -> None:
        """Begin counters, or count on, as an element or what stands beside it says."""
        for name, number in _counted(style.get(f"{where}counter-reset", ""), 0):
            self._begin_counter(name)
            self._counters[name][-1] = number
        for name, number in _counted(style.get(f"{where}counter-increment", ""), 1):
            self._numbers(name)[-1] += number
        for name, number in _counted(style.get(f"{where}counter-set", ""), 0):
            self._numbers(name)[-1] = number

    def _numbers(self, name: str) -> list[int]:
        """Return the numbers of a counter at all depths; it begins here if it has not yet."""
        if not self._counters.get(name):
            self._begin_counter(name)
        return self._counters[name]

    def _begin_counter(self, name: str) -> None:
        """Begin a counter that holds to the end of the element around."""
        if name not in self._counting[-1][0]:
            self._counting[-1][0].add(name)
            self._counters.setdefault(name, []).append(0)

    def end(self, tag: str) -> None:
        """Close an element."""
        begun, behind = self._counting[-1]
        if after := behind():
            self._text(after)
        self._counting.pop()
        for name in begun:
            self._counters[name].pop()
        is_block = self._open[-1][0]
        self._preformatted -= tag in _PREFORMATTED
        if tag in ("ol", "ul"):
            self._lists.pop()
        if tag in ("td", "th"):
            self._show("\t")
        elif is_block:
            self._new_line()
        elif tag in _APART:
            self._text(" ")
        self._open.pop()

    def _number(self, item: LexborNode, style: Style) -> None:
        """Show the number of an item of a list, where it has one."""
        numbering = self._lists[-1] if self._lists else None
        if numbering is not None and style.get("list-style") != "none":
            form, last = numbering
            number = _whole(item.attributes.get("value"), last + 1)
            self._lists[-1] = form, number
            self._show(f"{written(form, number)}. ")

    def _text(self, text: str) -> None:
        if not self._preformatted:
            text = _SPACES.sub(" ", text)
            text = text.lstrip(" ") if self._last in " \n\t" else text
        self._show(text)

    def _new_line(self) -> None:
        if self._last != "\n":
            self._show("\n")

    def _show(self, text: str) -> None:
        if text and self._open[-1][1]:
            self.pieces.append(text)
            self._last = text[-1]


def _counted(stated: str, otherwise: int) -> Iterator[tuple[str, int]]:
    """Yield the counters that a style names, each with its number, or the usual one."""
    for found in _COUNTER.finditer(stated):
        if found[1].lower() not in ("none", "inherit", "initial"):
            yield found[1], int(found[2]) if found[2] else otherwise


def _numbering(node: LexborNode, tag: str, style: Style) -> tuple[str, int] | None:
    """Return how the numbers of a list are written, and the one before its first."""
    attributes = node.attributes
    form = _NUMBERS.get(attributes.get("type") or "", "") if tag == "ol" else None
    form = _STYLED_NUMBERS.get(style.get("list-style", ""), form)  # Others leave it: `inherit`.
    return None if form is None else (form, _whole(attributes.get("start"), 1) - 1)


def _whole(stated: str | None, otherwise: int) -> int:
    stated = (stated or "").strip()
    return min(int(stated), 1_000_000) if stated.isdecimal() and len(stated) < 10 else otherwise


def _equation(math: LexborNode) -> str:
    """Return an equation in one line; empty where it is damaged: its words are shown one by one."""
    try:
        return mathml.linear(fromstring((math.html or "").replace("&nbsp;", "\xa0")))
    except (ParseError, DefusedXmlException, RecursionError):
        return ""


def _is_hidden(node: LexborNode, tag: str, style: Style) -> bool:
    attributes = node.attributes
    is_closed = tag == "dialog" and "open" not in attributes
    if "display" not in style and (is_closed or "hidden" in attributes or "popover" in attributes):
        return True
    return tag in _NOT_SHOWN or tag.startswith(("-", "!")) or style.get("display") == "none"


def _page_within(frame: LexborNode) -> str:
    """Return the page that a frame holds, or a template that shows; empty where there is none."""
    if "shadowrootmode" in frame.attributes:
        return (frame.html or "").replace("<template", "<div", 1)
    if inner := frame.attributes.get("srcdoc"):
        return inner
    found = _PAGE.match(frame.attributes.get("src") or frame.attributes.get("data") or "")
    if found is None:
        return ""
    data = unquote_to_bytes(found[2])
    with contextlib.suppress(ValueError):
        return decode_html(base64.b64decode(data) if found[1] else data).text
    return ""


def _said(node: LexborNode, tag: str) -> str:
    """Return what a field or a picture shows or stands for."""
    attributes = node.attributes
    if tag == "img":
        return attributes.get("alt") or ""
    kind = (attributes.get("type") or "text").lower()
    if kind == "image":
        return attributes.get("alt") or ""
    return "" if kind in _BUTTONS else attributes.get("value") or attributes.get("placeholder") or ""
