"""URLs are read, wrong ones are answered with what is wrong, and nothing secret of them is ever told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb.core.errors import BadURL, MissingExtra, ResourceError, Unreachable
from pocketflex_nb.resources.connections.urls import URL_MASK, mask, missing_extra, parse_url, refused, unreachable

ALL = ("memory", "sqlite", "redis", "postgres", "amqp")


@pytest.mark.parametrize(("url", "told"), [
    ("memory:", ("memory", "", 0, "", "")),
    ("memory:team", ("memory", "", 0, "", "team")),
    ("sqlite:///file.db", ("sqlite", "", 0, "file.db", "default")),
    ("sqlite:////data/a%20b.db?name=x", ("sqlite", "", 0, "/data/a b.db", "x")),
    ("redis://", ("redis", "localhost", 6379, "", "default")),
    ("rediss://me:pw@host:1/3?name=a", ("redis", "host", 1, "3", "a")),
    ("postgresql://[::1]/db", ("postgres", "::1", 5432, "db", "default")),
    ("amqp://u:p@h/%2Fteam", ("amqp", "h", 5672, "/team", "default")),
])
def test_a_url_is_read(url: str, told: tuple[object, ...]) -> None:
    address = parse_url(url, kinds=ALL)

    assert (address.kind, address.host, address.port, address.path, address.name) == told


@pytest.mark.parametrize(("url", "mend"), [
    ("", "no scheme"), ("file.db", "no scheme"), ("mysql://h/d", "known: 'memory'"), ("reddis://h", "did you mean 'redis'"),
    ("sqlite:file.db", "write 'sqlite:///file.db'"), ("sqlite://file.db", "write 'sqlite:///file.db'"), ("sqlite://", "write 'memory:'"),
    ("sqlite:///:memory:", "write 'memory:'"), ("redis:host", "begins with 'redis://'"), ("redis://h:port/", "the port is a number"),
    ("redis://u:p/w@h", "%2F"), ("redis://u:p#w@h", "%23"), ("redis://h?name=a b", "letters, digits"), ("amqp://h/", "for 'amqp' URLs"),
    ("redis://h/team", "the number of a database"), ("sqlite:///", "write 'sqlite:///store.db'"),
])
def test_a_wrong_url_is_answered_with_what_is_wrong(url: str, mend: str) -> None:
    with pytest.raises(BadURL) as caught:
        parse_url(url)

    assert mend in str(caught.value)
    assert isinstance(caught.value, ValueError)


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=6), st.sampled_from(["redis", "postgresql", "amqp"]))
def test_no_password_is_told_however_the_url_is_wrong(password: str, scheme: str) -> None:
    secret = f"Zq{password}"
    url = f"{scheme}://me:{secret}@127.0.0.1:5/0"
    try:
        address = parse_url(url, kinds=ALL)
        texts = [repr(address), str(address), address.safe, str(unreachable(address, f"no {secret}")), str(refused(address, OSError(url)))]
    except BadURL as exc:
        texts = [str(exc), exc.url, repr(exc.__cause__), repr(exc.__context__)]

    assert [text for text in [*texts, mask(url)] if "Zq" in text] == []


def test_secrets_among_the_options_are_masked_and_reach_the_client() -> None:
    address = parse_url("postgresql://me@h/d?sslpassword=hidden1&sslmode=require&name=team")

    assert "hidden1" not in f"{address!r}{address}"
    assert f"sslpassword={URL_MASK}" in address.safe
    assert "sslpassword=hidden1" in address.url
    assert "name=" not in address.url, "that one is ours"


def test_a_secret_is_masked_however_the_client_writes_it() -> None:
    address = parse_url("redis://me:a%40b%2Fc@h")

    assert address.clean("a@b/c and a%40b%2Fc and a%40b/c") == f"{URL_MASK} and {URL_MASK} and {URL_MASK}"
    assert address.secrets
    assert address.url.startswith("redis://me:a%40b%2Fc@h"), "the client still gets it"


def test_the_errors_name_place_cause_and_mend() -> None:
    address = parse_url("redis://me:secret@somewhere:1234/0")

    gone = unreachable(address, ConnectionRefusedError("refused secret"))
    lacking = missing_extra(address, ImportError("No module named 'redis'"))

    assert isinstance(gone, (Unreachable, ConnectionError))
    assert (gone.host, gone.port) == ("somewhere", 1234)
    assert "somewhere:1234 (ConnectionRefusedError: refused ***)" in str(gone)
    assert isinstance(lacking, (MissingExtra, ImportError))
    assert "pip install 'pocketflex_nb[redis]'" in str(lacking)
    assert isinstance(lacking, ResourceError)
