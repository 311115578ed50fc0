"""When a store cannot be opened: what is told, how soon, and what never is."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pocketflex_nb
from pocketflex_nb.core.errors import BadURL, Refused, ResourceError, Unreachable
from pocketflex_nb.resources.connections.connect import connect_within
from pocketflex_nb.resources.connections.urls import parse_url
from pocketflex_nb.resources.stores.open_store import open_store
from tests.environment import ROOT, free_port
from tests.resources.brokers import Redis
from tests.resources.postgres_server import PostgresServer

SECRET = "Zq-S3cret"
SERVERS = ("redis", "postgresql")


def told(exc: BaseException) -> str:
    """Everything of an error that a notebook or a debugger could show."""
    behind = [repr(vars(each)) for each in (exc, exc.__cause__, exc.__context__) if each is not None]
    return "".join(traceback.format_exception(exc)) + "".join(behind)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that is listened on, where nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_port_where_nothing_listens_is_told_at_once(scheme: str) -> None:
    port, begin = free_port(), time.monotonic()

    with pytest.raises(Unreachable) as caught:
        open_store(f"{scheme}://me:{SECRET}@127.0.0.1:{port}/0")

    assert time.monotonic() - begin < 5
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "refused" in str(caught.value)
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert isinstance(caught.value, ConnectionError)
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_server_that_never_answers_is_given_up_within_five_seconds(scheme: str, silent_port: int) -> None:
    begin = time.monotonic()

    with pytest.raises(Unreachable, match=f"127.0.0.1:{silent_port}") as caught:
        open_store(f"{scheme}://me:{SECRET}@127.0.0.1:{silent_port}/0")

    assert time.monotonic() - begin < 5
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_host_that_nobody_knows_is_told_by_its_name(scheme: str) -> None:
    begin = time.monotonic()

    with pytest.raises(Unreachable, match=r"no-such-host\.invalid") as caught:
        open_store(f"{scheme}://me:{SECRET}@no-such-host.invalid/0")

    assert time.monotonic() - begin < 5
    assert SECRET not in told(caught.value)


def test_a_client_that_does_not_come_back_is_left_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = parse_url(f"redis://me:{SECRET}@127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            connect_within(address, lambda: server.accept()[0].close(), within=0.05)
        socket.create_connection(server.getsockname()).close()


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_wrong_password_is_refused_and_not_told(scheme: str, redis_server: Redis, postgres_server: PostgresServer) -> None:
    port = redis_server.port if scheme == "redis" else postgres_server.port

    with pytest.raises(Refused, match=f"127.0.0.1:{port} refuses") as caught:
        open_store(f"{scheme}://:{SECRET}@127.0.0.1:{port}/0" if scheme == "redis" else f"{scheme}://pfx:{SECRET}@127.0.0.1:{port}/postgres")

    assert isinstance(caught.value, PermissionError)
    assert SECRET not in told(caught.value)


def test_a_database_that_is_not_there_is_told(redis_server: Redis, postgres_server: PostgresServer) -> None:
    with pytest.raises(Refused, match='database "nowhere" does not exist'):
        open_store(postgres_server.url.rpartition("/")[0] + "/nowhere")
    with pytest.raises(Refused, match="DB index is out of range"):
        open_store(redis_server.url.rpartition("/")[0] + "/99")


def test_options_that_a_client_does_not_know_are_told(redis_server: Redis, postgres_server: PostgresServer) -> None:
    for url in (f"{redis_server.url}?nonsense=1", f"{postgres_server.url}?nonsense=1", "sqlite:///x.db?nonsense=1"):
        with pytest.raises((BadURL, ResourceError)) as caught:
            open_store(url)
        assert redis_server.password not in told(caught.value)


@pytest.mark.parametrize("url", ["mongodb://h/x", "sqlite:x.db", "", "redis://h:99999/", "amqp://h/"])
def test_a_url_that_names_no_store_is_told(url: str) -> None:
    with pytest.raises(BadURL, match="open_store"):
        open_store(url)


def test_a_history_of_no_length_is_told() -> None:
    with pytest.raises(ValueError, match=r"open_store\(history=0\)"):
        open_store("memory:", history=0)


_BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("redis", "psycopg"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from pocketflex_nb import open_store
from pocketflex_nb.core.errors import MissingExtra
for url in ("redis://:Zq-S3cret@h", "postgresql://me:Zq-S3cret@h/d"):
    try:
        open_store(url)
    except MissingExtra as exc:
        assert isinstance(exc, ImportError)
        print(exc.extra, exc)
with open_store("memory:") as store:
    store["a"] = 1
    print(dict(store.items()))
"""


def test_a_client_that_is_not_installed_is_told_with_the_pip_line() -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    done = subprocess.run([sys.executable, "-c", _BLOCKED], capture_output=True, text=True, check=True, env=env)

    lines = done.stdout.splitlines()
    assert lines[0].startswith("redis ")
    assert "pip install 'pocketflex_nb[redis]'" in lines[0]
    assert "pip install 'pocketflex_nb[postgres]'" in lines[1]
    assert lines[2] == "{'a': 1}"
    assert SECRET not in done.stdout + done.stderr


def test_opening_a_store_imports_no_other_kinds_client(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pocketflex_nb import open_store\n"
        f"open_store('sqlite:///{tmp_path / 'x.db'}').close()\n"
        "print(sorted({'redis', 'psycopg', 'aio_pika', 'numpy', 'IPython'} & set(sys.modules)))"
    )

    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)

    assert done.stdout.strip() == "[]"


# files ---------------------------------------------------------------------------------------------------------------
def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="there is no folder"):
        open_store(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("not a database, " * 100)

    with pytest.raises(ResourceError, match="is not a SQLite file"):
        open_store(f"sqlite:///{path}")

    assert path.read_text().startswith("not a database")


def test_a_file_of_somebody_elses_tables_can_hold_a_store_too(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "x.db")
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()

    with open_store(f"sqlite:///{tmp_path / 'x.db'}") as store:
        store["a"] = 1
        assert store["a"] == 1


def test_a_write_that_is_kept_waiting_for_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    monkeypatch.setattr("pocketflex_nb.resources.stores.backends.sqlite._BUSY", 0.05)
    with open_store(url) as store:
        other: Any = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for write in (lambda: store.__setitem__("a", 1), lambda: store.increment("n")):
            with pytest.raises(Unreachable, match="was written to by others"):
                write()
        other.execute("ROLLBACK")
        other.close()

        store["a"] = 2
        assert store["a"] == 2


def test_the_root_opens_stores() -> None:
    assert pocketflex_nb.open_store is open_store
    assert "open_store" in dir(pocketflex_nb)
