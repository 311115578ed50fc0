"""Markdown as a tree of elements that a page makes one by one: no HTML, nothing that is fetched, no address but the web's and mail."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pocketflex_nb.views.text.safe_text import inert

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

__all__ = ["ELEMENTS", "LONGEST", "MarkdownNode", "markdown_tree"]

#: a text, or a list of an element's name, its attributes, and what is in it
MarkdownNode = str | list[Any]
#: characters that are read; levels that are gone into
LONGEST, _DEEPEST = 60_000, 40
#: the elements that a tree may have
ELEMENTS = frozenset({
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
})
_SAFE = ("http://", "https://", "mailto:")
_TAGS = {"hardbreak": "br"}


def markdown_tree(text: str) -> list[MarkdownNode]:
    """The tree of a Markdown text, secrets masked before.

    Parameters
    ----------
    text : str
        At most `LONGEST` characters of it are read.

    Returns
    -------
    list
        Texts, and ``[element, attributes, children]``. A picture is its description and its address as a text; a link keeps its
        address where that is the web's or mail, else it is its text. HTML is text.

    Examples
    --------
    >>> markdown_tree("**Sun** and <b>[wind](https://example.org)</b>")
    [['p', {}, [['strong', {}, ['Sun']], ' and <b>', ['a', {'href': 'https://example.org'}, ['wind']], '</b>']]]
    """
    from markdown_it.tree import SyntaxTreeNode

    root = SyntaxTreeNode(_parser().parse(inert(text[:LONGEST])))
    return [node for child in root.children for node in _nodes(child, 0)]


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])


def _nodes(node: SyntaxTreeNode, deep: int) -> list[MarkdownNode]:
    kind = node.type
    if kind in ("text", "softbreak"):
        return ["\n"] if kind == "softbreak" else [node.content] if node.content else []
    if kind == "code_inline":
        return [["code", {}, [node.content]]]
    if kind in ("fence", "code_block"):
        return [["pre", {}, [node.content]]]
    if kind == "image":
        return [["span", {"title": str(node.attrs.get("src", ""))}, [f"[picture: {node.content or node.attrs.get('src', '')}]"]]]
    if deep > _DEEPEST:
        return [node.content] if node.content else []
    inside = [made for child in node.children for made in _nodes(child, deep + 1)]
    if kind in ("inline", "root") or (kind == "paragraph" and node.hidden):
        return inside
    tag = _TAGS.get(kind, node.tag)
    if tag not in ELEMENTS:
        return inside or ([node.content] if node.content else [])
    if tag == "a":
        address = str(node.attrs.get("href", ""))
        return [["a", {"href": address}, inside]] if address.lower().startswith(_SAFE) else inside
    return [[tag, {"start": str(node.attrs["start"])} if tag == "ol" and "start" in node.attrs else {}, inside]]
