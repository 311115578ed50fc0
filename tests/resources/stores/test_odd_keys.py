"""Keys that a foreign writer leaves in a store: each is one entry, can be deleted and overwritten for good, and hides no other key."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.codec.tagged_json import Unloaded
from pocketflex_nb.resources.connections.sqlite_file_checks import raw_of, readable_name, sqlite_text
from pocketflex_nb.resources.stores.backends import sqlite
from pocketflex_nb.resources.stores.open_store import open_store

#: what stands where a key should: bytes as a blob, `Text` bytes as a text, else as it is
Text = tuple
ODD: dict[str, Any] = {
    "a blob": b"\xff\xfe",
    "a blob like a key": b'"ok"',
    "an empty blob": b"",
    "broken UTF-8": Text((b"\xff\xfe\\",)),
    "broken UTF-8 in a text": Text((b'"\xc3"',)),
    "half a pair": '"\\ud800"',
    "a NUL": '"a\x00b"',
    "an escaped NUL": '"a\\u0000b"',
    "only a NUL": "\x00",
    "nothing": "",
    "a number": 5,
    "a fraction": 1.5,
    "a list": "[1]",
    "huge": f'"{"k" * 5_000}"',
    "huge and no JSON": "k" * 5_000,
    "another spelling": '"\\u006fk"',
    "a space": ' "ok"',
    "another number": "1.0",
    "a truth": "true",
    "not a number": "NaN",
    "infinite": "1e999",
    "a marked text": "\ufffdblob:ok",
}


def _bytes(odd: Any) -> bytes:
    return odd[0] if isinstance(odd, tuple) else odd if isinstance(odd, bytes) else str(odd).encode()


def _into_sqlite(file: Path, table: str, odd: Any) -> None:
    with contextlib.closing(sqlite3.connect(file)) as line, line:
        number = line.execute("SELECT id FROM pfx_stores").fetchone()[0]
        key, value = ("CAST(? AS TEXT)", odd[0]) if isinstance(odd, tuple) else ("?", odd)
        if table == "entries":
            line.execute(f"INSERT INTO pfx_entries VALUES (?, {key}, 0, '7', '')", (number, value))
        else:
            at = line.execute("SELECT max(at) FROM pfx_log").fetchone()[0]
            line.execute(f"INSERT INTO pfx_log VALUES (?, {key}, '7', '')", (at + 1, value))


@pytest.fixture(params=["sqlite entries", "sqlite log", "redis", "postgres"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """A store's URL, and what writes the value 7 into it under an odd key."""
    kind, _, table = request.param.partition(" ")
    name = f"odd{os.getpid()}{abs(hash(request.node.name))}"
    if kind == "sqlite":
        monkeypatch.setattr(sqlite, "_FOLD", 8)
        yield f"sqlite:///{tmp_path}/s.db?name={name}", lambda odd: _into_sqlite(tmp_path / "s.db", table, odd)
    elif kind == "redis":
        import redis

        server = request.getfixturevalue("redis_server")
        with redis.Redis.from_url(server.url) as client:
            yield f"{server.url}?name={name}", lambda odd: client.hset(f"pfx:{{{name}}}:values", _bytes(odd), "7")  # type: ignore[misc]
    else:
        import psycopg

        server = request.getfixturevalue("postgres_server")

        def write(odd: Any) -> None:
            if not isinstance(odd, (str, int, float)) or "\x00" in str(odd):
                pytest.skip("PostgreSQL takes no such text")
            with psycopg.connect(server.url.partition("?")[0], autocommit=True) as line:
                line.execute("INSERT INTO pocketflex.entries VALUES (%s, %s, 0, '7', '')", (name, str(odd)))

        yield f"{server.url}?name={name}", write


def _odd_keys(store: Any) -> list[Any]:
    return [key for key in store if key not in ("ok", "churn", 1)]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_key_is_one_entry_and_goes_for_good(odd: str, foreign: tuple[str, Callable[[Any], None]]) -> None:
    url, write = foreign
    if url.startswith("redis") and isinstance(ODD[odd], bytes) and b'"ok"' in ODD[odd]:
        pytest.skip("all keys at Redis are bytes: it is the key")
    with open_store(url) as store:
        store["ok"], store[1] = 1, "one"
    for verb in ("delete", "overwrite"):
        write(ODD[odd])
        with open_store(url) as store:
            (key,) = _odd_keys(store)
            assert (store[key], store["ok"], store[1]) == (7, 1, "one")
            assert isinstance(key, (Unloaded, str, int, float))
            if verb == "overwrite":
                store[key] = 8
                for number in range(20):  # beyond a folding of the log
                    store["churn"] = number
                assert store[key] == 8
                with open_store(url) as again:
                    assert again[_odd_keys(again)[0]] == 8
            del store[key]
            assert key not in store
            with open_store(url) as again:
                assert _odd_keys(again) == []
            for number in range(20):
                store["churn"] = number
        with open_store(url) as again:
            assert _odd_keys(again) == []
            assert (again["ok"], again[1]) == (1, "one")


@pytest.mark.parametrize("data", [b"\xff", b"\\xff", b"\\\xff\\\\x41", b"a\x00\xc3", b'"ok"', b""])
def test_a_marked_text_stands_for_its_bytes(data: bytes) -> None:
    assert raw_of(readable_name(data)) == (data, "blob")
    assert raw_of(sqlite_text(data)) in (None, (data, "text"))
    assert (raw_of(sqlite_text(data)) is None) == (sqlite_text(data).encode() == data)


def test_numbers_of_the_file_that_are_no_numbers_hurt_nobody(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with open_store(url) as store:
        store["ok"] = 1
        store.lock("l").__enter__().__exit__(None, None, None)
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as line, line:
        line.execute("UPDATE pfx_stores SET folded = 'many'")
        line.execute("UPDATE pfx_guard SET edits = 'some'")
        line.execute("UPDATE pfx_locks SET token = 'x', until = 'soon'")

    with open_store(url) as store:
        assert store["ok"] == 1
        store["ok"] = 2
        with store.lock("l"):
            store["ok"] = 3
    with open_store(url) as again:
        assert again["ok"] == 3
