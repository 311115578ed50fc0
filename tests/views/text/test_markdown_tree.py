"""Markdown as a tree: whatever a model writes, nothing but harmless elements comes out, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb.views.text.markdown_tree import ELEMENTS, LONGEST, MarkdownNode, markdown_tree


def _elements(tree: list[MarkdownNode]) -> Iterator[tuple[str, dict[str, str]]]:
    for node in tree:
        if isinstance(node, list):
            yield node[0], node[1]
            yield from _elements(node[2])


def _text(tree: list[MarkdownNode]) -> str:
    return "".join(node if isinstance(node, str) else _text(node[2]) for node in tree)


def test_what_agents_write_is_structured() -> None:
    tree = markdown_tree("# Sun\n\n- *cheap*\n- `quick`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx < 1\n```\n\n3. third")

    names = [name for name, _ in _elements(tree)]
    assert names == ["h1", "ul", "li", "em", "li", "code", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "pre", "ol", "li"]
    assert ("ol", {"start": "3"}) in list(_elements(tree))
    assert "x < 1" in _text(tree)


@pytest.mark.parametrize("hostile", [
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)", "![a](https://example.org/track.png)", "![a](javascript:alert(1))",
    "<a href='javascript:alert(1)'>a</a>", "[a]: javascript:alert(1)\n\n[a]", "<svg/onload=alert(1)>",
    "[a](file:///etc/passwd)", "[a](//example.org)",
])
def test_nothing_runs_and_nothing_is_fetched(hostile: str) -> None:
    found = list(_elements(markdown_tree(hostile)))

    assert {name for name, _ in found} <= ELEMENTS
    assert all(name != "a" for name, _ in found)
    assert all(set(attributes) <= {"title"} for _, attributes in found)


def test_a_link_of_the_web_is_kept_and_a_picture_is_told() -> None:
    tree = markdown_tree("[wind](https://example.org/a) ![chart](https://example.org/c.png)")

    assert ("a", {"href": "https://example.org/a"}) in list(_elements(tree))
    assert "[picture: chart]" in _text(tree)


def test_marks_that_hide_or_reorder_are_written_out_and_a_long_text_is_bounded() -> None:
    assert "\u202e" not in _text(markdown_tree("a\u202eb"))
    assert len(_text(markdown_tree("word " * LONGEST))) <= LONGEST
    assert markdown_tree("> " * 500 + "deep")


@given(st.text("ab*_`#->[]()!<&|\n \\x", max_size=200))
def test_any_text_becomes_a_tree_of_known_elements(text: str) -> None:
    assert {name for name, _ in _elements(markdown_tree(text))} <= ELEMENTS
