"""A page that applies every difference shows what the kernel holds, and little is sent for windows that slide."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from pocketflex_nb.notebook.widgets.base.delta import delta

_TEXTS = some.text(max_size=40) | some.text("ab", min_size=30, max_size=120)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-9, 9) | some.floats(-1e6, 1e6) | _TEXTS,
    lambda below: some.lists(below, max_size=6) | some.dictionaries(some.text("abc", max_size=2), below, max_size=5),
    max_leaves=20,
)


def applied(old: Any, change: list[Any]) -> Any:
    """What base/js/delta.js does; `tests/ui/test_patches.py` holds them against it."""
    kind, first = change[0], change[1]
    if kind == 1:
        kept = {key: value for key, value in old.items() if key not in change[2]}
        return kept | {key: applied(kept.get(key), below) for key, below in first.items()}
    if kind == 2:
        _, _, front, inside, behind, length = change
        made = [*front, *old[first : first + length - len(front) - len(behind)], *behind]
        for index, below in inside.items():
            made[int(index)] = applied(made[int(index)], below)
        return made
    if kind == 3:
        return old.encode("utf-16-le", "surrogatepass")[first * 2 :].decode("utf-16-le", "surrogatepass") + change[2]
    if kind == 4:
        return [first.get(str(index), item) for index, item in enumerate(old)]
    return old | first if kind == 5 else first


def _reached(old: Any, new: Any) -> None:
    change = delta(old, new)
    told = json.loads(json.dumps(change))
    reached = old if told is None else applied(old, told)
    assert reached == new


@given(VALUES, VALUES)
def test_any_value_reaches_any_other(old: Any, new: Any) -> None:
    _reached(old, new)


@given(some.lists(VALUES, max_size=8), some.integers(0, 8), some.lists(VALUES, max_size=4), some.booleans())
def test_a_window_slides_either_way(items: list[Any], dropped: int, come: list[Any], in_front: bool) -> None:
    slid = [*come, *items[: len(items) - dropped]] if in_front else [*items[dropped:], *come]

    _reached(items, slid)


@given(some.text(min_size=1, max_size=300), some.integers(0, 300), some.text(max_size=60))
def test_a_text_grows_and_is_cut_in_front(text: str, cut: int, more: str) -> None:
    _reached(text, text[cut:] + more)


def test_a_sliding_log_costs_its_new_line() -> None:
    lines = [["print", f"line {number} of what an agent says", "search"] for number in range(200)]

    change = delta(lines, [*lines[1:], ["print", "one more", "search"]])

    assert len(json.dumps(change)) < 70


def test_a_streamed_line_costs_its_new_words() -> None:
    old = [["token", "the second paper says that storage " * 11, "search"]]

    change = delta(old, [["token", old[0][1][9:] + "matters", "search"]])

    assert len(json.dumps(change)) < 70
