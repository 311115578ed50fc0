"""Do keys mean the same in every process that shares a store? Equal ones are one, and those of classes not loaded harm nobody."""

from __future__ import annotations

import datetime as dt
import enum
import os
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from pocketflex_nb.core.errors import EncodingError, NotLoaded
from pocketflex_nb.resources.stores.key_encoding import key_text
from pocketflex_nb.resources.stores.open_store import open_store
from pocketflex_nb.resources.stores.shared_store import SharedStore

Pair = tuple[SharedStore, SharedStore]


class Topic(enum.StrEnum):
    NOTES = "notes"


class Room(enum.IntEnum):
    FIRST = 1


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Place:
    x: int


NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(("mine", "yours"), [
    (Topic.NOTES, "notes"), (Room.FIRST, 1), (("n", True), ("n", 1.0)), (Decimal("2"), 2), (Fraction(1, 2), 0.5), (1 + 0j, 1),
    (frozenset({1, ("a", True)}), frozenset({("a", 1), 1.0})), (NOON, NOON.astimezone(dt.timezone(dt.timedelta(hours=5)))),
], ids=repr)
def test_keys_that_are_equal_have_one_text(mine: Any, yours: Any) -> None:
    assert mine == yours

    assert key_text(mine) == key_text(yours)


def test_keys_that_are_not_equal_have_texts_of_their_own() -> None:
    keys = [1, "1", 1.5, (1,), ("1",), frozenset({1}), None, b"1", Colour.RED, "red", Decimal("0.1"), 0.1, 2**80, float("inf"), 2j, NOON]

    assert len({*map(key_text, keys)}) == len(keys)


def test_numbers_of_numpy_are_keys_as_python_s_are() -> None:
    np = pytest.importorskip("numpy")

    assert [*map(key_text, (np.int64(7), np.float64(0.5), np.str_("a")))] == [*map(key_text, (7, 0.5, "a"))]


@pytest.mark.parametrize("key", [("n", float("nan")), frozenset({float("nan")}), Decimal("nan")], ids=repr)
def test_a_key_that_holds_what_is_not_equal_to_itself_is_refused(key: Any) -> None:
    with pytest.raises(EncodingError, match="nan"):
        key_text(key)


def test_what_one_writes_under_an_enum_another_reads_under_its_text(pair: Pair) -> None:
    mine, yours = pair

    mine[Topic.NOTES] = "sun"
    yours["notes"] = "rain"
    mine.increment(Room.FIRST)

    assert mine[Topic.NOTES] == "rain"
    assert dict(yours) == {"notes": "rain", 1: 1}


def test_a_set_as_key_is_found_by_a_process_of_another_hash_seed(shared_url: str) -> None:
    """Its members come in another order there."""
    code = f"""
from pocketflex_nb import open_store
with open_store({shared_url!r}) as store:
    print(store.increment(frozenset("abcdefgh")), len(store))
"""
    told = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        for seed in ("1", "2", "3")
    ]

    assert [each.stdout.split() for each in told] == [["1", "1"], ["2", "1"], ["3", "1"]]


def test_keys_of_classes_that_are_not_loaded_leave_the_rest_of_the_store_usable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(url) as mine:
        mine.update({Colour.RED: 1, ("at", Place(1)): 2, "seen": {Colour.RED: 3}, "n": 4})
        colour, place = Colour, Place
        monkeypatch.delitem(globals(), "Colour")
        monkeypatch.delitem(globals(), "Place")

        with open_store(url) as yours:
            assert yours["n"] == 4
            assert "not loaded here" in repr([*yours][0])
            assert yours.increment([*yours][0]) == 2
            assert len(yours) == len(yours.history()) - 1 == 4
            with pytest.raises(NotLoaded, match="no class Colour"):
                yours["seen"]

            monkeypatch.undo()

            assert dict(yours) == {colour.RED: 2, ("at", place(1)): 2, "seen": {colour.RED: 3}, "n": 4}, "they are loaded now"
            assert [change.new for change in yours.history(colour.RED)] == [1, 2]
            del yours["at", place(1)]
            assert ("at", place(1)) not in mine


def test_what_is_set_aside_stays_when_the_store_is_read_anew(url: str) -> None:
    with open_store(url) as mine, open_store(url, history=1, transient={"client"}) as yours:
        yours["client"] = client = object()
        for number in range(200):
            mine["n"] = number

        assert dict(yours.items()) == {"n": 199, "client": client}
