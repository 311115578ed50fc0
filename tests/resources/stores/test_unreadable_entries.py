"""One entry that cannot be read is one unreadable entry: shown, deletable, overwritable, and in nobody's way. Over every kind of store."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.codec.tagged_json import Unloaded
from pocketflex_nb.core.errors import BadURL, PocketflexError, ResourceError
from pocketflex_nb.resources.connections.sqlite_file_checks import SteadyClock
from pocketflex_nb.resources.stores.open_store import open_store

#: texts that no reader here can make a value of
BAD = {
    "cut": '{"a": [1',
    "pattern": '{"$":"pattern","v":"(","flags":0}',
    "zone": '{"$":"zone","v":"Mars/Base"}',
    "empty": " ",
    "date": '{"$":"date","v":"2020-13-41"}',
    "very deep": "[" * 100_000,
    "deep": "[" * 300 + "]" * 300,
    "tag": '{"$":"of 2099","v":1}',
    "flag": '{"$":"enum","c":"tests.resources.stores.test_unreadable_entries:Perm","v":64}',
    "array": '{"$":"ndarray","dtype":"<x9","shape":[1],"v":""}',
    "class": '{"$":"dataclass","c":"nowhere:Gone","v":{}}',
    "members": '{"$":"tuple"}',
    "number": '{"$":"decimal","v":"x"}',
    "key": '{"$":"set","v":[[1]]}',
    "huge": '{"$":"range","v":["x","1","1"]}',
    "members twice": '{"$":{"$":"int","v":"1"},"v":2}',
}


class Perm(enum.Flag):
    R = 1
    W = 2


def _written(url: str, key: str, text: Any, request: pytest.FixtureRequest) -> None:
    """Have `text` stand under a key, as another program or another version would write it."""
    kind, name = url.partition(":")[0], url.rpartition("name=")[2]
    if kind == "sqlite":
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///").partition("?")[0])) as file, file:
            number = file.execute("SELECT id FROM pfx_stores WHERE name = ?", (name,)).fetchone()[0]
            at = file.execute("SELECT max(at) FROM pfx_log WHERE at < ?", ((number + 1) << 40,)).fetchone()[0]
            file.execute("INSERT INTO pfx_log VALUES (?, ?, ?, '')", (at + 1, key, text))
    elif kind == "redis":
        import redis

        with redis.Redis.from_url(url.partition("?")[0]) as client:
            base = f"pfx:{{{name}}}:"
            version = client.incr(f"{base}version")
            client.hset(f"{base}values", key, text)
            client.hset(f"{base}who", key, f"{version} ")
            client.xadd(f"{base}log", {"k": key, "v": text, "w": ""}, id=f"{version}-0")
    elif kind == "postgresql":
        import psycopg

        with psycopg.connect(url.partition("?")[0], autocommit=True) as line:
            line.execute("SELECT pocketflex.write_1(%s,%s,%s,'',NULL,NULL,NULL,1000)", (name, key, text))
    else:
        pytest.skip("what is in memory nobody else can write")


def _uses(store: Any) -> None:
    """Everything that one does with a store, beside the unreadable key."""
    assert store["ok"] == 1
    assert "x" in store
    assert len(store) >= 2
    assert set(store) >= {"ok", "x"}
    assert dict(store.items())["ok"] == 1
    assert store.at(store.version)["ok"] == 1
    assert isinstance(store.diff(0), list)
    assert isinstance(store.history(), list)
    assert store.snapshot() is not None
    assert isinstance(repr(store), str)


@pytest.mark.parametrize("name", BAD)
def test_an_unreadable_value_is_one_entry(name: str, url: str, opened: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    store = opened()
    store["ok"] = 1
    _written(url, '"x"', BAD[name], request)

    for one in (store, opened()):
        _uses(one)
        with pytest.raises(PocketflexError):
            one["x"]
        assert isinstance(one.at(one.version)["x"], Unloaded)
        assert isinstance(dict(one.items())["x"], Unloaded)

    store["x"] = 5
    assert opened()["x"] == 5
    _written(url, '"x"', BAD[name], request)
    del store["x"]
    assert "x" not in opened()
    assert opened()["ok"] == 1


@pytest.mark.parametrize("key", ["[1]", "{", '{"$":"zone","v":"Mars/Base"}', '{"a":1}', "[" * 100_000, ""])
def test_an_unreadable_key_is_one_entry(key: str, url: str, opened: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    store = opened()
    store["ok"], store["x"] = 1, 2
    _written(url, key, "3", request)

    for one in (store, opened()):
        _uses(one)
        strange = [known for known in one if isinstance(known, Unloaded)]
        assert len(strange) == 1
        assert one[strange[0]] == 3

    del store[strange[0]]
    assert set(opened()) == {"ok", "x"}


def test_an_unreadable_value_is_written_again_as_it_was_read(shared_url: str, request: pytest.FixtureRequest) -> None:
    with open_store(shared_url) as store:
        store["ok"] = 1
        _written(shared_url, '"x"', '{"a": [1', request)

        assert "x" in store
        store["copy"] = store.at(store.version)["x"]
        store["inside"] = [store.at(store.version)["x"]]

    with open_store(shared_url) as again:
        assert again._replica.entries["copy"].text == '{"a": [1'
        assert again.at(again.version)["inside"][0] == again.at(again.version)["x"]


def test_rows_of_other_types_are_unreadable_entries(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/s.db?name=s"
    with open_store(url) as store:
        store["ok"] = 1
        for text in (b"\xff\xfe", 5, b'{"a": 1}'):
            _written(url, '"x"', text, request)
            _uses(store)
            with open_store(url) as again:
                _uses(again)
        assert again["x"] == {"a": 1} if not again._transport.is_closed else True


def test_bytes_that_are_no_text_are_unreadable_entries_at_redis(redis_server: Any) -> None:
    redis = pytest.importorskip("redis")
    url = f"{redis_server.url}?name=bytes{os.getpid()}"
    with open_store(url) as store, redis.Redis.from_url(redis_server.url) as client:
        store["ok"] = 1
        client.hset(f"pfx:{{bytes{os.getpid()}}}:values", b"\xff", b"\xfe")
        client.hset(f"pfx:{{bytes{os.getpid()}}}:values", '"x"', b"\xfe")
        client.xadd(f"pfx:{{bytes{os.getpid()}}}:log", {"zz": "1"}, id="77-0")

        with open_store(url) as again:
            _uses(again)
            for strange in [key for key in again if isinstance(key, Unloaded)]:
                del again[strange]
            assert set(again) == {"ok", "x"}
        _uses(store)


# the file -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


def _sql(file: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as line, line:
        for statement in statements:
            line.execute(statement)


VERBS: dict[str, Callable[[Any], Any]] = {
    "read": lambda store: store["a"],
    "write": lambda store: store.__setitem__("b", 2),
    "increment": lambda store: store.increment("n"),
    "list": lambda store: list(store),
    "delete": lambda store: store.__delitem__("a"),
    "lock": lambda store: store.lock("l").__enter__(),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_file_that_is_gone_is_told_at_the_next_verb(file: Path, what: str, verb: str) -> None:
    store = open_store(f"sqlite:///{file}")
    store["a"] = 1
    for end in ("", "-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    if what == "replaced":
        open_store(f"sqlite:///{file}").close()

    with pytest.raises(ResourceError, match=what):
        VERBS[verb](store)
    store.close()


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "lock"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM pfx_log",
        "UPDATE pfx_log SET value = '7' WHERE value = '1'",
        "DELETE FROM pfx_stores",
        "DELETE FROM pfx_log WHERE value = '1'",
    ],
)
def test_tables_that_others_have_edited_are_told_once_and_read_anew(file: Path, statement: str, verb: str) -> None:
    store = open_store(f"sqlite:///{file}")
    store["a"], store["n"] = 1, 0
    _sql(file, statement)

    with pytest.raises(ResourceError, match=r"emptied|edited"):
        VERBS[verb](store)

    with open_store(f"sqlite:///{file}") as again:
        assert dict(store) == dict(again)
    store["after"] = 3
    assert store["after"] == 3
    store.close()


@pytest.mark.parametrize(
    "trigger",
    [
        "CREATE TRIGGER t BEFORE INSERT ON pfx_log BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER t AFTER INSERT ON pfx_log BEGIN UPDATE pfx_log SET value = '9' WHERE at = NEW.at; END",
    ],
)
def test_a_trigger_is_told_when_it_is_made_and_when_the_store_is_opened(file: Path, trigger: str) -> None:
    store = open_store(f"sqlite:///{file}")
    store["a"] = 1
    _sql(file, trigger)

    with pytest.raises(ResourceError, match="trigger"):
        store["a"]
    with pytest.raises(ResourceError, match="trigger"):
        open_store(f"sqlite:///{file}")
    store.close()


def test_dropped_tables_are_told(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    store["a"] = 1
    _sql(file, "DROP TABLE pfx_log")

    with pytest.raises(ResourceError):
        store["b"] = 2
    store.close()


def test_two_who_write_and_fold_see_no_edit(file: Path) -> None:
    with open_store(f"sqlite:///{file}", history=100) as one, open_store(f"sqlite:///{file}") as other:
        for number in range(2_500):
            (one if number % 2 else other)[f"k{number % 40}"] = number
            if number % 7 == 0:
                del one[f"k{number % 40}"]

        assert dict(one) == dict(other)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
@pytest.mark.parametrize("kind", ["store", "queue", "topic"])
def test_a_file_is_its_user_s_alone(file: Path, kind: str) -> None:
    from pocketflex_nb.resources.queues.open_queue import open_queue
    from pocketflex_nb.resources.topics.open_topic import open_topic

    before = os.umask(0)
    try:
        with {"store": open_store, "queue": open_queue, "topic": open_topic}[kind](f"sqlite:///{file}") as thing:
            if kind == "store":
                thing["a"] = 1
            modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}, modes


def test_a_file_that_is_there_keeps_its_mode(file: Path) -> None:
    open_store(f"sqlite:///{file}").close()
    file.chmod(0o640)

    open_store(f"sqlite:///{file}").close()

    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "url", ["sqlite://u:hunter2hunter2@x/y.db", "sqlite://x/y.db?password=hunter2hunter2", "sqlite:u:hunter2hunter2@x"]
)
def test_a_url_that_names_no_file_tells_no_password(url: str) -> None:
    with pytest.raises(BadURL) as caught:
        open_store(url)

    assert "hunter2hunter2" not in f"{caught.value} {caught.value.url}"


# the clock ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the wall clock back by so many seconds."""
    real, offset = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + offset[0])
    return lambda seconds: offset.__setitem__(0, -seconds)


def test_a_steady_clock_never_goes_back_and_goes_on(clock: Callable[[float], None]) -> None:
    steady = SteadyClock()
    before = steady.now()
    clock(3_600)

    assert steady.now() >= before
    steady.saw(before + 50)
    assert steady.now() >= before + 50
    steady.saw(before - 50)
    assert steady.now() >= before + 50


def test_json_of_an_unreadable_value_is_its_text() -> None:
    from pocketflex_nb.core.codec.decoder import decode
    from pocketflex_nb.core.codec.encoder import encode

    value = decode('{"a": [', unloaded="keep")

    assert encode(value) == '{"a": ['
    assert json.loads(encode([value])) == [{"$": "unreadable", "v": '{"a": ['}]
    assert decode(encode([value]), unloaded="keep")[0] == value
