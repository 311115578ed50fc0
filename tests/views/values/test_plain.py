"""A store as JSON text, whatever the user has put into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb import Store
from pocketflex_nb.views.values.json_text import ITEMS, json_text

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("abc xyz", max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", max_size=5), inner, max_size=4), max_leaves=12,
)


@given(st.dictionaries(st.text("abcdef", max_size=5), _JSON, max_size=4))
def test_what_is_json_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert json.loads(json_text(Store(value), limit=10**6)) == value


def test_secrets_and_long_texts_are_not_written_out() -> None:
    text = json_text({"deep": {"api_key": "sk-abcdefghijklmnop1234"}, "said": "key sk-abcdefghijklmnop1234", "long": "x" * 5_000})

    told = json.loads(text)
    assert "sk-abc" not in text
    assert told["long"].endswith("… (5,000 characters)") and len(told["long"]) < 2_100


def test_circles_strange_objects_and_reordering_marks_are_told() -> None:
    class Raises:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    @dataclass
    class Point:
        x: int
        y: float

    circle: dict[str, Any] = {"point": Point(1, float("inf")), "odd": Raises(), (1, 2): {3}, "mark": "a\u202eb"}
    circle["self"] = circle

    text = json_text(circle)

    told = json.loads(text)
    assert told["point"] == {"x": 1, "y": "inf"}
    assert told["(1, 2)"] == [3]
    assert "\u202e" not in text
    assert isinstance(told["self"], str) and isinstance(told["odd"], str)


def test_what_is_left_out_is_counted() -> None:
    told = json.loads(json_text({"many": list(range(ITEMS + 7))}))

    assert told["many"][-1] == "… 7 more"
    assert "characters)" in json_text({"many": ["y" * 500] * 100}, limit=1_000)
