"""What a store in a SQLite file does beyond what every store does: its log is folded and trimmed, and nobody writes behind the end."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.resources.stores.backends import sqlite as sqlite_store
from pocketflex_nb.resources.stores.open_store import open_store


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold the log after each 16 changes."""
    monkeypatch.setattr(sqlite_store, "_FOLD", 16)


def rows(path: Path, query: str) -> list[Any]:
    with sqlite3.connect(path) as line:
        found = line.execute(query).fetchall()
    line.close()
    return found


@pytest.mark.usefixtures("often")
def test_who_opens_a_folded_and_trimmed_file_sees_all_that_stands_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/f.db"
    with open_store(url, history=20) as store:
        for number in range(200):
            store[f"key {number % 30}"] = [number]
            if number % 7 == 0:
                store.pop(f"key {(number + 11) % 30}", None)
            store.increment("n")
        expected = dict(store.items())

    with open_store(url) as again:
        assert dict(again.items()) == expected
        assert again["n"] == 200
    assert rows(tmp_path / "f.db", "SELECT count(*) FROM pfx_log")[0][0] <= 20 + 16 + 1


@pytest.mark.usefixtures("often")
def test_who_slept_through_a_trimming_of_the_log_writes_behind_its_end(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/f.db"
    with open_store(url, history=20) as sleeper, open_store(url, history=20) as busy:
        assert sleeper.increment("n") == 1
        for _ in range(300):
            busy.increment("n")
        assert rows(tmp_path / "f.db", "SELECT min(at) & 0xffffffff FROM pfx_log WHERE at & 0xffffffff > 0")[0][0] > 200

        assert sleeper.increment("n") == 302

        assert (busy["n"], busy.version) == (302, 302)
        sleeper["late"] = 1
        assert [change.version for change in busy.history("late")] == [303]


@pytest.mark.usefixtures("often")
def test_a_fold_that_fails_costs_nothing_and_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = sqlite_store._FOLD_LIVING
    monkeypatch.setattr(sqlite_store, "_FOLD_LIVING", "INSERT INTO nowhere SELECT ?, ?, ?")
    url = f"sqlite:///{tmp_path}/f.db"
    with open_store(url) as store:
        for number in range(1, 41):
            assert store.increment("n") == number
            store[f"key {number}"] = number

        monkeypatch.setattr(sqlite_store, "_FOLD_LIVING", good)
        for number in range(41, 60):
            assert store.increment("n") == number

    with open_store(url) as again:
        assert dict(again.items()) == {"n": 59, **{f"key {number}": number for number in range(1, 41)}}
    assert rows(tmp_path / "f.db", "SELECT folded FROM pfx_stores")[0][0] == 96
    assert rows(tmp_path / "f.db", "PRAGMA integrity_check") == [("ok",)]
