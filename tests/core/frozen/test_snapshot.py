"""Frozen values: round trips, sharing, bounds, and values that misbehave."""

from __future__ import annotations

import datetime
import decimal
import enum
import pickle
import types
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb.core.frozen.diff import compare_values
from pocketflex_nb.core.frozen.freezer import MISSING, FrozenList, FrozenText, Opaque, TooLarge, equal, freeze, is_plain, thaw
from pocketflex_nb.core.frozen.frozen_tree import items_of, leaves_of
from pocketflex_nb.core.value_text import path_text, value_text

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False), st.text(max_size=4), st.binary(max_size=3),
    st.complex_numbers(allow_nan=False), st.dates(), st.just((1, "a")),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=70), st.dictionaries(st.text(max_size=3), inner, max_size=40), st.tuples(inner, inner),
        st.sets(st.integers(), max_size=40), st.lists(inner, max_size=4).map(deque),
    ),
    max_leaves=150,
)


def typed(value: Any) -> Any:
    """The value with every class written out: 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return type(value), [(key, typed(inner)) for key, inner in value.items()]
    if isinstance(value, (list, tuple, deque)):
        return type(value), [typed(inner) for inner in value]
    return type(value), value


@given(values)
def test_thawed_value_is_equal_to_the_one_that_was_frozen(value):
    frozen = freeze(value)

    assert typed(thaw(frozen)) == typed(value)
    assert equal(frozen, value)


@given(values, values)
def test_previous_copy_changes_nothing_about_the_result(value, other):
    frozen = freeze(value, freeze(other))

    assert typed(thaw(frozen)) == typed(value)


@given(values)
def test_unchanged_value_gives_the_previous_copy_itself(value):
    frozen = freeze(value)

    assert freeze(value, frozen) is frozen


class Edit:
    """One change of a list in place."""

    names = ("append", "insert", "delete", "pop0", "replace", "nest", "extend", "clear", "reverse")
    kinds = st.tuples(st.sampled_from(names), st.integers(0, 10_000), leaves)

    @staticmethod
    def apply(items: list[Any], kind: str, at: int, value: Any) -> None:
        place = at % len(items) if items else 0
        if kind == "append":
            items.append(value)
        elif kind == "extend":
            items.extend([value] * (at % 40))
        elif kind == "insert":
            items.insert(place, [value])
        elif kind == "clear" and at % 5 == 0:
            items.clear()
        elif kind == "reverse":
            items.reverse()
        elif items and kind == "delete":
            del items[place]
        elif items and kind == "pop0":
            items.pop(0)
        elif items and kind == "replace":
            items[place] = value
        elif items and kind == "nest" and isinstance(items[place], list):
            items[place].append(value)


@given(st.lists(leaves, max_size=200), st.lists(Edit.kinds, max_size=30))
def test_any_edit_of_a_list_is_seen_and_keeps_its_tree_in_shape(items, edits):
    frozen = freeze(items)
    for edit in edits:
        before = typed(items)
        Edit.apply(items, *edit)

        now = freeze(items, frozen)

        assert typed(thaw(now)) == typed(items)
        assert (now is frozen) == (typed(items) == before)
        assert all(0 < len(leaf) <= 32 for leaf in leaves_of(now.tree)) or not items
        frozen = now


@given(st.dictionaries(st.integers(0, 99), leaves, max_size=90), st.lists(st.tuples(st.integers(0, 99), st.none() | leaves), max_size=30))
def test_any_edit_of_a_dict_is_seen(mapping, edits):
    frozen = freeze(mapping)
    for key, value in edits:
        if value is None:
            mapping.pop(key, None)
        else:
            mapping[key] = value

        frozen = freeze(mapping, frozen)

        assert typed(thaw(frozen)) == typed(mapping)
        assert {key: frozen[key] for key in frozen} == mapping


def shared(before: FrozenList, after: FrozenList) -> tuple[int, int]:
    """Leaves that both have, and leaves that only the second has."""
    known = {id(leaf) for leaf in leaves_of(before.tree)}
    same = sum(id(leaf) in known for leaf in leaves_of(after.tree))
    return same, len(leaves_of(after.tree)) - same


@pytest.mark.parametrize(
    "edit",
    [
        lambda items: items.append("new"), lambda items: items.pop(0), lambda items: items.insert(5_000, "new"),
        lambda items: items.__delitem__(5_000), lambda items: items.__setitem__(77, "new"), lambda items: items.pop(),
    ],
    ids=["append", "pop first", "insert", "delete", "replace", "pop last"],
)
def test_one_edit_of_a_list_of_10000_makes_at_most_two_new_leaves(edit):
    items = [f"item {number}" for number in range(10_000)]
    before = freeze(items)

    edit(items)
    after = freeze(items, before)

    same, new = shared(before, after)
    assert same >= 311 and new <= 2
    assert list(items_of(after.tree)) == items


@pytest.mark.parametrize("item", [None, "text", 0.5, "new"], ids=repr)
def test_list_that_grows_one_by_one_stays_a_shallow_tree_of_full_leaves(item):
    items: list[Any] = []
    frozen = freeze(items)
    for number in range(3_000):
        items.append(item if item != "new" else number)
        frozen = freeze(items, frozen)

    assert frozen == items
    assert len(leaves_of(frozen.tree)) <= 2 * 3_000 / 32
    assert len(frozen.tree) <= 32


def test_list_that_loses_items_anywhere_keeps_few_leaves():
    items = list(range(3_000))
    frozen = freeze(items)
    for number in range(2_700):
        del items[number * 7_919 % len(items)]
        frozen = freeze(items, frozen)

    assert frozen == items
    assert len(leaves_of(frozen.tree)) <= 60


def test_one_of_a_thousand_keys_changed_shares_the_rest():
    mapping = {f"key {number}": "x" * 10 for number in range(1_000)}
    before = freeze(mapping)

    mapping["key 500"] = "y"
    after = freeze(mapping, before)

    assert after.keytree is before.keytree
    known = {id(leaf) for leaf in leaves_of(before.tree)}
    assert sum(id(leaf) not in known for leaf in leaves_of(after.tree)) == 1


def test_scattered_changes_and_an_append_share_what_lies_between():
    items = list(map(str, range(3_200)))
    before = freeze(items)

    items[10], items[1_600] = "a", "b"
    items.append("c")
    after = freeze(items, before)

    assert shared(before, after) == (98, 3)


def test_numbers_are_compared_with_their_class():
    items: list[Any] = [1, 1, 1]
    before = freeze(items)

    items[1] = True
    after = freeze(items, before)

    assert after is not before
    assert [type(item) for item in thaw(after)] == [int, bool, int]


def test_text_that_grows_shares_its_beginning():
    text = "x" * 3_000
    versions = [freeze(text)]
    for _ in range(200):
        text += "y" * 40
        versions.append(freeze(text, versions[-1]))

    assert str(versions[-1]) == text
    assert all(isinstance(version, FrozenText) for version in versions[1:])
    pieces = {id(piece): len(piece) for version in versions[1:] for piece in version.pieces}
    assert sum(pieces.values()) < 10 * len(text)
    assert freeze(text, versions[-1]) is versions[-1]


def test_long_text_that_changes_in_the_middle_is_kept_whole():
    before = freeze("x" * 5_000)

    after = freeze("x" * 2_000 + "y" + "x" * 2_999, before)

    assert thaw(after) == "x" * 2_000 + "y" + "x" * 2_999


def test_containers_that_stand_inside_themselves_do_so_again():
    loop: list[Any] = [1]
    loop.append(loop)
    inner: dict[str, Any] = {"up": loop}
    loop.append(inner)

    frozen = freeze(loop)
    plain = thaw(frozen)

    assert plain[1] is plain and plain[2]["up"] is plain
    assert freeze(loop, frozen) is frozen
    assert "holds this one" in repr(frozen)


def test_very_deep_nesting_ends_with_a_mark():
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]

    frozen = freeze(deep)

    assert isinstance(freeze([deep])[0], FrozenList)
    assert "levels deep" in value_text(_bottom(frozen))


def _bottom(frozen: Any) -> Any:
    while isinstance(frozen, FrozenList):
        frozen = frozen[0]
    return frozen


class Rude:
    def __init__(self, text: str = "") -> None:
        self.text = text

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("never ask")

    __hash__ = None  # type: ignore[assignment]


def test_object_whose_repr_and_eq_raise_becomes_a_mark():
    items = [Rude()]

    frozen = freeze(items)

    assert isinstance(frozen[0], Opaque)
    assert "Rude" in repr(frozen)
    assert freeze(items, frozen) is frozen


def test_eq_of_unknown_objects_is_never_asked():
    frozen = freeze(["text", 1])

    assert freeze([Rude(), Rude()], frozen) is not frozen


def test_replaced_object_that_looks_the_same_is_a_change():
    class Client:
        def __repr__(self) -> str:
            return "<Client>"

    items = [Client()]
    before = freeze(items)

    items[0] = Client()

    assert freeze(items, before) is not before


def test_marks_hold_no_addresses():
    assert "0x" not in repr(freeze([object()]))
    assert "0x" not in value_text(types.SimpleNamespace(x=object()))


class Colour(enum.Enum):
    RED = 1


@dataclass
class Note:
    text: str
    tags: list[str] = field(default_factory=list)


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value",
    [
        Note("a", ["b"]), Point(1, [2]), OrderedDict(a=[1]), Counter("abca"), types.SimpleNamespace(a=[1]), frozenset({1}), Colour.RED,
        datetime.datetime(2026, 1, 1), decimal.Decimal("1.5"), range(3), b"raw", 1j, {(1, 2): {3}}, deque([1, [2]], maxlen=5),
        [], {}, set(), (),
    ],
    ids=repr,
)
def test_values_of_many_classes_come_back_equal_and_of_their_class(value):
    plain = thaw(freeze(value))

    assert plain == value
    assert type(plain) is type(value)
    assert freeze(value, freeze(value)) == freeze(value)


def test_nested_change_of_a_dataclass_is_seen():
    note = Note("a")
    before = freeze(note)

    note.tags.append("b")
    after = freeze(note, before)

    assert [found.where for found in compare_values(before, after)] == ["tags[0]"]
    assert thaw(before) == Note("a") and thaw(after) == note


def test_deque_keeps_its_bound_and_defaultdict_its_factory():
    assert thaw(freeze(deque([1], maxlen=3))).maxlen == 3
    assert thaw(freeze(defaultdict(list, a=[1])))["new"] == []


def test_pydantic_model_comes_back():
    pydantic = pytest.importorskip("pydantic", reason="pip install pydantic")

    class Model(pydantic.BaseModel):
        names: list[str]

    model = Model(names=["a"])
    before = freeze(model)
    model.names.append("b")

    assert thaw(before) == Model(names=["a"])
    assert thaw(freeze(model, before)) == model


def test_arrays_and_tables_are_told_by_their_shape():
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    numpy = pytest.importorskip("numpy", reason="pip install numpy")

    assert "10x4" in value_text(pandas.DataFrame(numpy.zeros((10, 4))))
    assert thaw(freeze([numpy.int64(3)])) == [3]
    assert freeze([numpy.zeros(3)])[0].kind == "ndarray"


def test_bounded_work_ends():
    with pytest.raises(TooLarge):
        freeze(list(range(100_000)), bound=64 * 1024)
    with pytest.raises(TooLarge):
        freeze([[number] for number in range(5_000)], bound=64 * 1024)

    assert freeze(list(range(10_000)), bound=64 * 1024) == list(range(10_000))


@pytest.mark.parametrize(
    ("value", "plain"),
    [((1, ("a", None)), True), ((1, []), False), ([], False), ("a", True), (Note("a"), False), (Colour.RED, True)],
)
def test_plain_values_are_told_from_those_that_could_change(value, plain):
    assert is_plain(value) is plain


def test_missing_is_one_object_also_when_pickled():
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING
    assert not MISSING


@given(values, values)
def test_differences_are_empty_only_for_equal_values(one, other):
    a = freeze(one)
    b = freeze(other, a)

    found = compare_values(a, b)

    if typed(one) == typed(other):
        assert found == []
    if not found:
        assert equal(a, b)


def test_item_taken_out_of_a_list_is_one_difference():
    items = [{"n": number} for number in range(100)]
    before = freeze(items)

    del items[40]

    (found,) = compare_values(before, freeze(items, before))
    assert (found.path, found.op, thaw(found.old), found.new) == ((40,), "removed", {"n": 40}, MISSING)


def test_differences_name_paths_as_they_would_be_typed():
    before = freeze({"notes": [{"title": "a", "a key": 1}], "gone": 1})
    after = freeze({"notes": [{"title": "b", "a key": 2}, "c"], 3: {"x"}}, before)

    found = [(difference.where, difference.op) for difference in compare_values(before, after)]

    assert found == [
        ("notes[0].title", "changed"), ("notes[0]['a key']", "changed"), ("notes[1]", "added"), ("[3]", "added"), ("gone", "removed"),
    ]
    assert path_text(("a key", "b")) == "'a key'.b"


def test_differences_can_be_limited():
    before, after = freeze(list(range(100))), freeze([number + 1 for number in range(100)])

    assert len(compare_values(before, after, limit=3)) == 3


def test_set_differences_name_the_items():
    before = freeze({1, 2})

    found = {(difference.path, difference.op) for difference in compare_values(before, freeze({2, 3}, before))}

    assert found == {((3,), "added"), ((1,), "removed")}


@given(values)
def test_preview_is_short_and_never_raises(value):
    assert len(value_text(value, 50)) <= 50
    assert len(repr(freeze(value))) <= 2_100


def test_frozen_sequence_reads_like_the_plain_one():
    frozen = freeze([*range(100), []])

    assert (frozen[0], frozen[-2], len(frozen), frozen.kind) == (0, 99, 101, "list")
    assert list(frozen.children())[:2] == [(0, 0), (1, 1)]
    with pytest.raises(IndexError, match="index 101 of a list of 101"):
        frozen[101]


def test_an_array_changed_in_place_is_frozen_anew():
    numpy = pytest.importorskip("numpy", reason="pip install numpy")
    for array in (numpy.zeros(500), numpy.zeros((40, 3))[::2], bytearray(500), numpy.array([None, 1])):
        before = freeze(array)
        assert freeze(array, before) is before

        array[-1] = 7

        assert freeze(array, before) != before


def test_of_a_large_array_only_the_shape_is_looked_at():
    numpy = pytest.importorskip("numpy", reason="pip install numpy")
    array = numpy.zeros(100_000)
    before = freeze(array)

    array[0] = 7

    assert freeze(array, before) is before
