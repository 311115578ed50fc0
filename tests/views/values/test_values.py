"""Previews, trees and differences of whatever stands in a store."""

from __future__ import annotations

import collections
import dataclasses
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.core.frozen.frozen_tree import MISSING
from pocketflex_nb.views.text.redaction import SECRET_MASK
from pocketflex_nb.views.values.change_lines import ChangeLine, change_lines, change_text, compare_lines, word_changes
from pocketflex_nb.views.values.store_rows import child_rows, children_of, value_at, visible_rows
from pocketflex_nb.views.values.value_preview import detail, preview, type_label


class Broken:
    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> Any:
        raise ZeroDivisionError


class BrokenDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError


@dataclasses.dataclass
class Note:
    title: str
    tags: list[str]


def cycle() -> list[Any]:
    ring: list[Any] = [1]
    ring.append(ring)
    return ring


HOSTILE = [
    Broken(), BrokenDict(a=1), cycle(), "\u202e\x00<script>", {"x": Broken()}, [[[[[[[[["deep"]]]]]]]]], object(), type, print,
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_makes_a_view_raise(value: Any) -> None:
    assert len(preview(value)) <= 160
    assert isinstance(type_label(value), str)
    assert isinstance(detail(value), str)
    assert isinstance(visible_rows({"x": value}, {("x",), ("x", 1)}), list)
    assert isinstance(child_rows(value), list)


def test_ten_megabytes_cost_nothing() -> None:
    value = "x" * 10_000_000
    began = time.perf_counter()

    page, line = detail(value), preview(value)

    assert time.perf_counter() - began < 1
    assert page.endswith("…\n(10,000,000 characters)")
    assert len(line) <= 120
    assert type_label(value) == "str 10000000"


def test_text_that_reorders_or_hides_is_written_out() -> None:
    assert detail("a\u202eb\nc\x07") == "a\\u202eb\nc\\x07"
    assert "\u202e" not in preview("a\u202eb")


def test_bytes_lists_and_dicts_have_pages_of_their_own() -> None:
    assert detail(b"ab\x00") == "b'ab\\x00'"
    assert detail([1, "a"]) == "- 1\n- 'a'"
    assert detail({"n": 1, "api_key": "abc"}) == f"'n': 1\n'api_key': {SECRET_MASK}"
    assert detail(list(range(1_000))).endswith("- 49\n… 950 more")


def test_tables_and_arrays_are_told_by_shape_and_head() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    frame, array = pandas.DataFrame({"a": range(100), "b": 1.5}), numpy.zeros((100, 3))

    assert (type_label(frame), type_label(array)) == ("DataFrame 100x2", "ndarray 100x3")
    assert detail(frame).endswith("(DataFrame 100x2)")
    assert "a    b" in detail(frame)
    assert detail(array).endswith("(ndarray 100x3 float64)")


def test_looking_at_a_value_imports_nothing() -> None:
    before = set(sys.modules)

    detail({"x": [1, {2}], "y": Note("a", [])})

    assert set(sys.modules) == before


def test_a_tree_opens_level_by_level() -> None:
    store = {"notes": ["a", {"title": "x"}], "n": 1, "note": Note("t", ["u"]), "api_key": {"id": "abc"}}

    closed = visible_rows(store)
    opened = visible_rows(store, {("notes",), ("notes", 1), ("note",), ("api_key",)})

    assert [(r.where, r.kind, r.children, r.depth) for r in closed] == [
        ("notes", "list 2", 2, 0), ("n", "int", 0, 0), ("note", "Note", 2, 0), ("api_key", "dict 1", 0, 0),
    ]
    assert [r.where for r in opened] == [
        "notes", "notes[0]", "notes[1]", "notes[1].title", "n", "note", "note.title", "note.tags", "api_key",
    ]
    assert (closed[3].preview, closed[3].is_secret) == (SECRET_MASK, True)
    assert child_rows(store, ("api_key",)) == []


def test_a_tree_of_a_snapshot_reads_like_the_value() -> None:
    store = {"notes": ["a", {"title": "x"}], "draft": "w" * 3_000}

    frozen = freeze(store)

    assert [(r.where, r.children) for r in visible_rows(frozen, {("notes",), ("notes", 1)})] == [
        (r.where, r.children) for r in visible_rows(store, {("notes",), ("notes", 1)})
    ]


def test_rows_come_in_pages() -> None:
    store = {f"k{n}": n for n in range(1_000)}

    assert [r.key for r in child_rows(store, offset=200, limit=3)] == ["k200", "k201", "k202"]
    assert len(child_rows(store)) == 200


def test_a_tree_can_be_searched() -> None:
    store = {"notes": {"first": "apple", "second": "pear"}, "fruit": "Pear tree", "n": 1}

    assert [r.where for r in visible_rows(store, {("notes",)}, find="pear")] == ["notes", "notes.second", "fruit"]


def test_what_stands_at_a_path_can_be_had() -> None:
    point = collections.namedtuple("Point", "x y")
    store = {"a": [1, {"b": point(3, 4)}], 7: {"s"}}

    assert value_at(store, ("a", 1, "b", "y")) == 4
    assert value_at(store, (7, 0)) == "s"
    with pytest.raises(LookupError, match=r"nothing at a\[5\]"):
        value_at(store, ("a", 5, "b"))


def test_leaves_have_no_children() -> None:
    assert [list(children_of(leaf)) for leaf in ("text", 3, None, b"x", object())] == [[], [], [], [], []]


def test_a_difference_is_lines_with_signs_and_paths() -> None:
    old = {"notes": ["a", {"title": "x"}], "n": 1, "draft": "w" * 412, "scratch": 1, "api_key": "abc", "log": "y" * 100}
    new = {"notes": ["a", {"title": "y"}, 3], "n": 2, "draft": "w" * 655, "api_key": "abd", "log": "y" * 100}
    new["new"] = {"password": "p"}

    lines = compare_lines(old, new)

    assert change_text(lines).split("\n")[:3] == ["~ notes[1].title  'x' → 'y'", "+ notes[2]        3", "~ n               1 → 2"]
    told = {line.where: (line.sign, line.text) for line in lines}
    assert told["draft"][1].startswith("412 → 655 characters")
    assert told["scratch"] == ("-", "1")
    assert told["api_key"] == ("~", f"{SECRET_MASK} (changed)")
    assert told["new"] == ("+", f"{{'password': {SECRET_MASK}}}")
    assert "log" not in told


def test_a_long_difference_is_cut() -> None:
    lines = compare_lines({}, {f"k{n}": n for n in range(1_000)}, limit=10)

    assert len(lines) == 11
    assert lines[-1] == ChangeLine("…", "", "and more")


def test_differences_of_plain_and_frozen_values_are_the_same() -> None:
    old, new = {"a": [1, 2], "b": "x"}, {"a": [1, 3], "c": {4}}

    assert compare_lines(freeze(old), freeze(new)) == compare_lines(old, new)


def test_the_changes_of_a_step_are_lines() -> None:
    changes = [
        {"key": "n", "op": "set", "old": 1, "new": 2}, {"key": "new", "op": "set", "old": MISSING, "new": [1]},
        {"key": "gone", "op": "delete", "old": "x", "new": MISSING}, {"key": "big", "op": "maybe"},
        {"key": "notes", "op": "set", "old": freeze(["a"]), "new": freeze(["a", "b"])},
    ]

    assert [(line.sign, line.where, line.text) for line in change_lines(changes)] == [
        ("~", "n", "1 → 2"), ("+", "new", "[1]"), ("-", "gone", "'x'"), ("~", "big", "may have changed: too large to look at"),
        ("+", "notes[1]", "'b'"),
    ]


def test_texts_are_compared_word_by_word() -> None:
    assert word_changes("the quick fox", "the slow fox!") == [(" ", "the "), ("-", "quick"), ("+", "slow"), (" ", " fox"), ("+", "!")]


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)), max_leaves=12,
)


@given(_JSON, _JSON)
def test_any_two_values_can_be_compared(old: Any, new: Any) -> None:
    assert compare_lines(old, old) == []
    assert bool(compare_lines(old, new)) is (freeze(old) != freeze(new))
    assert isinstance(change_text(compare_lines(old, new)), str)
