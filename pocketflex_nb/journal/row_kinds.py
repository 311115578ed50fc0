"""The kinds of records, and the texts that stand in them. See ``docs/journal.md``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from json.encoder import encode_basestring as quoted
from typing import Any

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import EncodingError
from pocketflex_nb.core.flow.node_ids import action_text

__all__ = ["Kind", "Row", "action_json", "changes_json", "kept_json", "pairs_json", "read_changes", "read_value"]

_PLAIN = frozenset({str, int, float, bool, type(None)})


class Kind(IntEnum):
    """What a record says of the address that it names."""

    HOP = 1  # the node is finished: its action and what it changed
    RESULT = 2  # `exec` is finished, `post` has not begun
    ITEM = 3  # one item of a batch is finished
    FAILED = 4  # the node failed, and its error edge was taken
    ATTEMPT = 5  # an attempt is spent
    CONTENT = 6  # what a store holds from here on that the record belongs to: a private one's beginning, what is left of a failed visit
    RESUMED = 7  # another process goes on with the run
    END = 8  # the run is over
    NOTED = 9  # what steps told and did beside their results: prints, tokens, questions, failures that ended the run
    SUMS = 10  # what the records before it come to, from time to time, so that a long run is drawn at once


_parsed = json.JSONDecoder().decode
_NAMES = {kind: kind.name.lower() for kind in Kind}


@dataclass(slots=True)  # not frozen, which would make reading a hundred thousand of them twice as long
class Row:
    """One record as it is read.

    Attributes
    ----------
    number : int
        Its number in the run, from 1.
    kind : Kind
        What it says.
    address : str
        Of what.
    body : str
        A JSON object.
    """

    number: int
    kind: Kind
    address: str
    body: str
    _read: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def data(self) -> dict[str, Any]:
        """The body; values in it are as `encode` wrote them."""
        found = self._read
        if found is None:
            found = self._read = _parsed(self.body)
        return found

    @property
    def what(self) -> str:
        """Its kind by name: ``"hop"``, ``"result"``, ..."""
        return _NAMES[self.kind]

    def value(self, name: str) -> object:
        """A value of the body, decoded; what cannot be read here is an `Unloaded`."""
        return read_value(self.data[name])

    def changes(self) -> Iterable[tuple[str, list[tuple[Any, bool, Any]]]]:
        """Its changes: of each store the address, and of each key whether it is there, with its value."""
        return read_changes(self)

    def notes(self) -> Iterable[tuple[str, str, bool, float, dict[str, Any]]]:
        """What steps told: of each event its kind, address, whether it is a node's, seconds since the launch, and its facts."""
        for kind, address, is_node, when, facts in self.data.get("n", ()):
            yield str(kind), str(address), bool(is_node), float(when), {name: read_value(value) for name, value in facts.items()}


def kept_json(value: object, path: tuple[object, ...], mend: str) -> str:
    """A value as JSON.

    Raises
    ------
    EncodingError
        With its path and the mend.
    """
    try:
        return encode(value, at=path)
    except EncodingError as exc:
        raise EncodingError(f"{exc}; {mend}", path=exc.path) from exc.__cause__


def action_json(action: object) -> str:
    """What `post` returned, as JSON: the text of an action, None, or several of them with their params."""
    if action is None:
        return "null"
    if isinstance(action, str):
        return quoted(action_text(action))
    return kept_json(list(action) if isinstance(action, tuple) and not isinstance(action, str) else action, ("the action",), "return texts")


def pairs_json(content: Mapping[Any, Any], keys: Iterable[Any], transient: frozenset[Any]) -> str:
    """Keys with their values as JSON: a list of pairs; a key alone is gone.

    Raises
    ------
    EncodingError
        A value cannot be kept: with its path and the mend.
    """
    pairs = []
    for key in keys:
        if key in transient:
            continue
        name = quoted(key) if key.__class__ is str and key.isascii() else kept_json(key, (key,), "use a text as its key")
        try:
            value = content[key]
        except KeyError:
            pairs.append(f"[{name}]")
            continue
        try:
            pairs.append(f"[{name},{encode(value, at=(key,))}]")
        except EncodingError as exc:
            mend = f"or keep it out of the journal: Store(transient={{{key!r}}}), and resume(..., provide={{...}})"
            raise EncodingError(f"{exc}; {mend}", path=exc.path) from exc.__cause__
    return f"[{','.join(pairs)}]"


def changes_json(changes: Iterable[tuple[str, Mapping[Any, Any], Iterable[Any]]], transient: frozenset[Any]) -> str:
    """Changes as JSON: of each store its address, and the changed keys with their values.

    Parameters
    ----------
    changes : iterable
        Address of the store (``""`` for the run's own), its content now, and the keys that changed.
    transient : frozenset
        Keys that are not kept.
    """
    parts = []
    for scope, content, keys in changes:
        pairs = pairs_json(content, keys, transient)
        if pairs != "[]":
            parts.append(f"[{quoted(scope)},{pairs}]")
    return f"[{','.join(parts)}]"


def read_value(found: object) -> object:
    """A value from a body that was read as JSON."""
    return found if found.__class__ in _PLAIN else decode(json.dumps(found), unloaded="keep")


def read_changes(row: Row) -> Iterable[tuple[str, list[tuple[Any, bool, Any]]]]:
    """The changes of a record: of each store its address, and of each key whether it is there, with its value."""
    for scope, pairs in row.data.get("c", ()):
        yield scope, [
            (read_value(key), bool(value), read_value(value[0]) if value else None)
            for key, *value in pairs
        ]
