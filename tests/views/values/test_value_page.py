"""Values in full, page by page: nothing is left out, nothing secret is told, and no value of the user's raises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.views.values.value_page import CHARACTERS, TABLE_ROWS, ValuePage, copied_text, value_page, value_within

_KEY = "sk-abcdefghijklmnop1234"


def _whole(value: object, page_of: Any = value_page) -> str:
    page: ValuePage = page_of(value)
    text = page["text"]
    while page["more"] is not None:
        page = page_of(value, page["more"])
        text += page["text"]
    return text


def test_a_long_text_comes_whole_in_pages() -> None:
    text = "".join(f"line {n}\n" for n in range(9_000))

    assert value_page(text)["size"] == len(text) > 3 * CHARACTERS
    assert _whole(text) == text
    assert _whole(text, copied_text) == text


def test_a_secret_on_the_border_of_two_pages_is_masked_in_both() -> None:
    text = "x" * (CHARACTERS - 10) + " " + _KEY + " " + "y" * 50

    whole = _whole(text)

    assert "abcdefghijklmnop" not in whole
    assert "••••" in whole


@pytest.mark.parametrize("make", [lambda value: value, freeze], ids=["plain", "frozen"])
def test_a_container_opens_by_places_and_hides_secrets(make: Any) -> None:
    value = make({"notes": [{"title": "Sun", "text": "t" * 500}], "api_key": _KEY, 3: {"password": "p", "n": 1}})

    page = value_page(value)
    notes, path = value_within(value, [0])
    text, _ = value_within(value, [0, 0, 1])

    assert [(row[0], row[1], row[4]) for row in page["rows"]] == [(0, "notes", True), (1, "api_key", False), (2, "3", True)]
    assert path == ("notes",)
    assert value_page(notes)["kind"] == "list 1"
    assert str(text) == "t" * 500
    assert value_page(value_within(value, [0, 0])[0])["rows"][1][4] is True, "a long text has a page of its own"
    assert value_page(value_within(value, [1])[0])["text"] == "••••••••"
    assert value_page(value_within(value, [2, 0])[0])["text"] == "••••••••"
    assert _KEY not in json.dumps(page) + _whole(value, copied_text)


@pytest.mark.parametrize("places", [[7], [0, 9], [-1], [0, 0, 0, 0]])
def test_a_place_that_is_not_there_is_said(places: list[int]) -> None:
    with pytest.raises(LookupError, match="nothing at place"):
        value_within({"a": [1]}, places)


def test_many_rows_come_in_pages() -> None:
    value = list(range(250))

    first, second, third = value_page(value), value_page(value, 100), value_page(value, 200)

    assert [page["more"] for page in (first, second, third)] == [100, 200, None]
    assert [row[0] for page in (first, second, third) for row in page["rows"]] == list(range(250))


def test_a_data_frame_is_a_table_with_its_secret_columns_masked() -> None:
    value = pd.DataFrame({"n": list(range(230)), "password": ["p"] * 230})

    first, last = value_page(value), value_page(value, 200)

    assert (first["form"], first["size"], first["more"]) == ("table", 230, TABLE_ROWS)
    assert first["columns"][-2:] == ["n", "password"]
    assert [row[-2:] for row in last["rows"]] == [[str(n), "••••••••"] for n in range(200, 230)]
    assert last["more"] is None


def test_a_value_that_lies_or_raises_is_told_and_does_not_raise() -> None:
    class Raises(dict[str, object]):
        def items(self) -> Any:
            raise SystemExit("no")

        def __repr__(self) -> str:
            raise RuntimeError("no")

    @dataclass
    class Point:
        x: int
        inside: object

    assert value_page(Raises())["form"] == "text"
    assert value_page(object())["form"] == "text"
    assert [row[1] for row in value_page(Point(1, Raises()))["rows"]] == ["x", "inside"]
