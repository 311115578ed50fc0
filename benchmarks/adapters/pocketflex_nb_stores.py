"""Stores that several kernels share, beside the bare client of the same server: both in one process, in turn, at one server."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.kit import entry

SYS = "pocketflex_nb"
#: rounds of both in turn; the median of their ratios counts, so that what else the machine does falls on both
ROUNDS = 15
WAKES = 60
VERBS = ("increment", "set", "get")
_WRITER = """
import sys, time
from pocketflex_nb import open_store
with open_store(sys.argv[1]) as store:
    store["ready"] = True
    for _ in range(int(sys.argv[2])):
        time.sleep(0.03)
        store["at"] = time.perf_counter()
    store["at"] = 0.0
"""


#: a value of its own for each write: SQLite does not write what stands there already
_numbers = itertools.count()


def value():
    return {"a": next(_numbers)}


def text():
    return json.dumps(value())


class SqliteClient:
    """The standard library's module, as careful as the store: write-ahead log, `synchronous=NORMAL`."""

    def __init__(self, path: Path) -> None:
        self.line = sqlite3.connect(path, isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "CREATE TABLE bare (k TEXT PRIMARY KEY, v)"):
            self.line.execute(statement)

    def increment(self) -> None:
        self.line.execute("INSERT INTO bare VALUES ('n', 1) ON CONFLICT (k) DO UPDATE SET v = v + 1 RETURNING v").fetchall()

    def set(self) -> None:
        self.line.execute("INSERT INTO bare VALUES ('s', ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v", (text(),))

    def get(self) -> None:
        self.line.execute("SELECT v FROM bare WHERE k = 's'").fetchone()


class RedisClient:
    """redis-py, as its first page shows it."""

    def __init__(self, url: str) -> None:
        import redis

        self.line = redis.Redis.from_url(url)

    def increment(self) -> None:
        self.line.incr("bare-n")

    def set(self) -> None:
        self.line.set("bare-s", text())

    def get(self) -> None:
        self.line.get("bare-s")


class PostgresClient:
    """psycopg, prepared and committing each statement."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.line = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        self.line.execute("CREATE TABLE bare (k text PRIMARY KEY, n bigint, v text)")

    def increment(self) -> None:
        self.line.execute("INSERT INTO bare VALUES ('n', 1) ON CONFLICT (k) DO UPDATE SET n = bare.n + 1 RETURNING n").fetchone()

    def set(self) -> None:
        self.line.execute("INSERT INTO bare VALUES ('s', 0, %s) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v", (text(),))

    def get(self) -> None:
        self.line.execute("SELECT v FROM bare WHERE k = 's'").fetchone()


@contextlib.contextmanager
def place(kind):
    """A server of its own, or a folder: the store's URL, and the bare client."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="pfx-bench-") as folder:
            yield f"sqlite:///{folder}/store.db", SqliteClient(Path(folder, "bare.db"))
    elif kind == "redis":
        from tests.resources.brokers import Redis

        with Redis() as server:
            yield server.url, RedisClient(server.url)
    else:
        from tests.resources.postgres_server import PostgresServer

        server = PostgresServer(fsync=True)
        try:
            server.start()
            yield server.url, PostgresClient(server.url)
        finally:
            server.remove()


def rate(call, seconds):
    """Calls per second, for about so long."""
    count, start = 0, time.perf_counter()
    while True:
        for _ in range(20):
            call()
        count += 20
        took = time.perf_counter() - start
        if took > seconds:
            return count / took


def beside(m, kind, verb):
    from pocketflex_nb import open_store

    with place(kind) as (url, bare), open_store(url) as store:
        ours = {"increment": lambda: store.increment("n"), "set": lambda: store.__setitem__("s", value()), "get": lambda: store["s"]}[verb]
        store["s"] = {"a": 1}
        bare.set()
        rates = []
        for number in range(ROUNDS + 1):
            pair = [rate(getattr(bare, verb), 0.1), rate(ours, 0.1)]
            if number:  # the first warms up
                rates.append(pair)
        m.extra["ratio"] = statistics.median(bare / ours for bare, ours in rates)
        m.extra["ours"] = statistics.median(ours for _, ours in rates)
        m.extra["bare"] = statistics.median(bare for bare, _ in rates)
        m.check(verb != "increment" or store["n"] == store.version - 1)
        bare.line.close()


def watch(m, kind):
    from pocketflex_nb import open_store

    with place(kind) as (url, bare), open_store(url) as store, store.watch("at") as watching:
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, url, str(WAKES)])
        took = []
        for change in watching:
            if not change.new:
                break
            took.append(time.perf_counter() - change.new)
        m.check(writer.wait(30) == 0 and len(took) > WAKES / 2)
        m.extra["ms"] = statistics.median(took) * 1e3
        m.extra["worst"] = max(took) * 1e3
        bare.line.close()


def register(kind):
    for verb in VERBS:

        @entry(f"store_{kind}", SYS, verb, n=1, venv="venv-servers", order=5, marked=verb == "increment")
        def _(m, verb=verb):
            beside(m, kind, verb)

    @entry(f"watch_{kind}", SYS, "watch", n=1, venv="venv-servers", order=5, marked=True)
    def _(m):
        watch(m, kind)


for _kind in ("sqlite", "redis", "postgres"):
    register(_kind)
