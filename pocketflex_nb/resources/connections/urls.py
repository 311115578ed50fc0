"""URLs of stores, queues and topics: parsed, masked for display, and the errors of a failed connection.

=====================================  ==========================================================================
``memory:``                            in this process; a new one each time, ``memory:NAME`` the same one each time
``sqlite:///file.db``                  a file, relative to the working directory; ``sqlite:////data/file.db`` is absolute
``redis://user:password@host:6379/0``  a Redis server and the number of its database; ``rediss://`` with TLS
``postgresql://user@host:5432/db``     a PostgreSQL server and its database; ``postgres://`` is the same
``amqp://user:password@host:5672/``    a RabbitMQ server and its virtual host; ``amqps://`` with TLS
=====================================  ==========================================================================

``?name=team`` names one of several stores or queues in the same place. Other options are the client's own: ``?sslmode=require``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from pocketflex_nb.core.errors import BadURL, MissingExtra, Refused, Unreachable, nearest

__all__ = ["CONNECT", "URL_MASK", "Address", "mask", "missing_extra", "parse_url", "refused", "unreachable"]

#: seconds to wait for a server's answer at the start; an unreachable one is an error within 5 s
CONNECT = 4.0
URL_MASK = "***"
_KINDS = {
    "memory": "memory", "sqlite": "sqlite", "redis": "redis", "rediss": "redis", "postgresql": "postgres", "postgres": "postgres",
    "amqp": "amqp", "amqps": "amqp",
}
_PORTS = {"redis": 6379, "postgres": 5432, "amqp": 5672, "amqps": 5671}
_SERVERS = {"redis": "Redis", "postgres": "PostgreSQL", "amqp": "RabbitMQ"}
#: by kind of server: the extra of pocketflex_nb, and the package that it brings
_EXTRAS = {"redis": ("redis", "redis"), "postgres": ("postgres", "psycopg"), "amqp": ("rabbitmq", "aio-pika")}
_SECRET = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL.

    Attributes
    ----------
    kind : str
        ``"memory"``, ``"sqlite"``, ``"redis"``, ``"postgres"`` or ``"amqp"``.
    safe : str
        The URL with `URL_MASK` in place of its secrets; the only text of it that may be shown or logged.
    url : str
        What the client gets: with secrets, without the options that are ours.
    host : str
    port : int
        0 where there is no server.
    path : str
        The file, the number or name of the database, or the virtual host.
    name : str
        Which store or queue in that place.
    secrets : tuple of str
        Texts that must never be shown.
    options : dict
        The rest of what stood behind ``?``.
    """

    kind: str
    safe: str
    url: str = field(repr=False)
    host: str = ""
    port: int = 0
    path: str = ""
    name: str = "default"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.safe

    @property
    def server(self) -> str:
        """The server's name for messages: ``"Redis"``."""
        return _SERVERS.get(self.kind, self.kind)

    def clean(self, text: object) -> str:
        """`text`, such as a client's error, without the secrets of this URL."""
        cleaned = str(text)
        for secret in self.secrets:
            cleaned = cleaned.replace(secret, URL_MASK)
        return cleaned


def parse_url(url: str, *, what: str = "store", kinds: Iterable[str] = ("memory", "sqlite", "redis", "postgres")) -> Address:
    """Parse a URL.

    Parameters
    ----------
    url : str
    what : str
        What is opened, for messages: ``"store"``, ``"queue"`` or ``"topic"``.
    kinds : iterable of str
        Those that there are of it.

    Raises
    ------
    BadURL
        With what is wrong, how it should look, and no secret.

    Examples
    --------
    >>> parse_url("redis://me:secret@localhost/2?name=team")
    Address(kind='redis', safe='redis://me:***@localhost:6379/2', host='localhost', port=6379, path='2', name='team')
    """
    if not isinstance(url, str):
        raise BadURL(f"open_{what}({type(url).__name__}): a URL as text, such as 'sqlite:///{what}.db'")
    scheme, colon, _ = url.partition(":")
    allowed = {name for name, kind in _KINDS.items() if kind in set(kinds)}
    if not colon or scheme.lower() not in allowed:
        shown = scheme if colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) else "no scheme"
        raise BadURL(f"open_{what}: there is no {what} for {shown!r} URLs{nearest(shown.lower(), allowed)}; "
                     f"a {what} is at {', '.join(sorted(name + ':' for name in allowed))}", url=f"{shown}:…")
    scheme = scheme.lower()
    kind = _KINDS[scheme]
    if kind == "memory":
        return _memory(url, what)
    return _file(url, what) if kind == "sqlite" else _server(url, scheme, what)


def _memory(url: str, what: str) -> Address:
    name = url.partition(":")[2].removeprefix("//")
    name, _, options = name.partition("?")
    name = name.strip("/") or dict(parse_qsl(options)).get("name", "")
    if name:
        _check_name(name, what)
    return Address("memory", f"memory:{name}", f"memory:{name}", name=name)


def _file(url: str, what: str) -> Address:
    location, _, query = url.partition("?")
    path = location.partition(":")[2]
    if not path.startswith("///") or path.strip("/") in ("", ":memory:"):
        file = path.rpartition("@")[2].strip("/") or f"{what}.db"
        mend = "write 'memory:'" if ":memory:" in path or path in ("", "//") else f"write 'sqlite:///{file}'"
        told = _without_login(url)
        raise BadURL(f"open_{what}({told!r}): sqlite URLs name a file after three slashes, a fourth for an absolute path; {mend}", url=told)
    path = unquote(path[3:])
    if re.match(r"/[A-Za-z]:[/\\]", path):  # sqlite:////C:/file.db
        path = path[1:]
    name, options = _options(query, what)
    return Address("sqlite", f"sqlite:///{path}", path, path=path, name=name, options=options)


def _without_login(url: str) -> str:
    """A URL that names no file, without a password that it may contain by mistake."""
    scheme, _, rest = url.partition(":")
    location, mark, query = rest.partition("?")
    if "@" in location:
        location = f"//{URL_MASK}@{location.rpartition('@')[2]}"
    options = "&".join(f"{name}={URL_MASK}" if _SECRET.search(name) else f"{name}={value}" for name, value in parse_qsl(query))
    return f"{scheme}:{location}{mark}{options}"


def _server(url: str, scheme: str, what: str) -> Address:
    kind = _KINDS[scheme]
    wrong = f"open_{what}: this {scheme} URL cannot be read"
    if not url[len(scheme) :].startswith("://"):
        raise BadURL(f"{wrong}: it begins with '{scheme}://'", url=f"{scheme}:…")
    parts = _split(url)
    if parts is None:
        raise _unreadable(wrong, scheme)
    if kind == "redis" and not re.fullmatch(r"/?\d*/?", parts.path):
        raise BadURL(f"{wrong}: what stands behind the host is the number of a database, such as '{scheme}://host:6379/0'", url=f"{scheme}://…")
    host, port = parts.hostname, parts.port
    name, options = _options(parts.query, what)
    host, port = host or "localhost", port or _PORTS.get(scheme, _PORTS[kind])
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    hidden = [value for key, value in options.items() if _SECRET.search(key)]
    shown = urlencode({key: URL_MASK if _SECRET.search(key) else value for key, value in options.items()}, safe="*")
    who = f"{user}:{URL_MASK}@" if password else f"{user}@" if user else ""
    at = f"[{host}]" if ":" in host else host
    safe = f"{scheme}://{who}{at}:{port}{parts.path}" + (f"?{shown}" if shown else "")
    login = parts.netloc.rpartition("@")[0]
    bare = f"{scheme}://{login + '@' if login else ''}{at}:{port}{parts.path}" + (f"?{urlencode(options)}" if options else "")
    secrets = _forms(password, parts.password or "", *hidden)
    return Address(kind, safe, bare, host, port, unquote(parts.path.removeprefix("/")), name, secrets, options)


def _split(url: str) -> SplitResult | None:
    """The parts of a server's URL; None when it cannot be told where the password ends."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # whose text repeats a part of the URL
        return None
    return None if "#" in url or "@" in parts.path or "@" in parts.query else parts


def _unreadable(wrong: str, scheme: str) -> BadURL:
    """The error without any part of the URL, because it is unknown which parts are secret."""
    return BadURL(
        f"{wrong}: it looks like '{scheme}://user:password@host:port/name', the port is a number, and in a password "
        "/ ? # @ : are written %2F %3F %23 %40 %3A", url=f"{scheme}://…",
    )


def _forms(*secrets: str) -> tuple[str, ...]:
    """Each secret as it is, and as URLs and reprs escape it; the longest first."""
    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1])}
    return tuple(sorted(forms, key=len, reverse=True))


def _options(query: str, what: str) -> tuple[str, dict[str, str]]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    name = options.pop("name", "default")
    _check_name(name, what)
    return name, options


def _check_name(name: str, what: str) -> None:
    if not _NAME.match(name):
        raise BadURL(f"open_{what}: name={name!r}: 1 to 64 letters, digits, and . _ -")


def mask(url: str) -> str:
    """A URL of any scheme without its secrets.

    Examples
    --------
    >>> mask("amqp://me:secret@host/")
    'amqp://me:***@host:5672/'
    """
    try:
        return parse_url(url, kinds=set(_KINDS.values())).safe
    except BadURL:
        return f"{str(url).partition(':')[0][:16]}:…"


def missing_extra(address: Address, cause: ImportError) -> MissingExtra:
    """The error to raise when the client cannot be imported."""
    extra, package = _EXTRAS[address.kind]
    return MissingExtra(
        f"{address.safe} needs the package {package}, which cannot be imported here ({cause}); "
        f"pip install 'pocketflex_nb[{extra}]'", url=address.safe, extra=extra,
    )


def unreachable(address: Address, cause: object, *, doing: str = "connect") -> Unreachable:
    """The error to raise when no server answers: host, port, cause, and no secret."""
    return Unreachable(
        f"no {address.server} server answers at {address.host}:{address.port} ({_told(address, cause)}); "
        f"is it running, and may this machine {doing} to it? URL: {address.safe}",
        url=address.safe, host=address.host, port=address.port,
    )


def refused(address: Address, cause: object) -> Refused:
    """The error to raise when the server answers, and refuses."""
    return Refused(
        f"the {address.server} server at {address.host}:{address.port} refuses ({_told(address, cause)}); "
        f"check user, password and database in {address.safe}", url=address.safe,
    )


def _told(address: Address, cause: object) -> str:
    text = " ".join(address.clean(cause).split())[:300]
    return f"{type(cause).__name__}: {text}" if isinstance(cause, BaseException) else text
