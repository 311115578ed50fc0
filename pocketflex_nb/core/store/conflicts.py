"""Lost updates: how a store finds, resolves and reports them; and late writes of abandoned steps."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.context import walked_with
from pocketflex_nb.core.errors import ConflictError
from pocketflex_nb.core.frozen.frozen_tree import MISSING, thaw
from pocketflex_nb.core.store.change_log import record_at
from pocketflex_nb.core.store.writer import OUTSIDE, Writer
from pocketflex_nb.core.value_text import value_text

if TYPE_CHECKING:
    from pocketflex_nb.core.frozen.three_way_merge import Rule
    from pocketflex_nb.core.port_types import WalkFrame
    from pocketflex_nb.core.store.change_log import ChangeLog
    from pocketflex_nb.core.store.key_state import KeyState

__all__ = [
    "WARN_ONLY", "ConflictPolicy", "ConflictRules", "ConflictWarning", "Reported", "is_fenced", "merged_value",
    "other_writer", "replaced_values", "report_conflict", "report_late_write", "rules_of",
]

#: frames of abandoned steps that a store remembers to have reported
_REMEMBERED = 1_000


class ConflictWarning(UserWarning):
    """A key was overwritten that another concurrent run or branch had written meanwhile."""


class ConflictPolicy(StrEnum):
    """What a lost update does besides being an event."""

    WARN = "warn"
    RAISE = "raise"
    IGNORE = "ignore"


class ConflictRules:
    """How a store treats lost updates.

    Attributes
    ----------
    policy : ConflictPolicy
        What one does that no rule resolves.
    merge : mapping of key to Rule
        The rules that resolve them; empty if there are none.
    nested_keys : frozenset of str
        Keys that rules for a part of their value begin with.
    """

    __slots__ = ("merge", "nested_keys", "policy")  # no dataclass: making one takes a twentieth of this package's import

    def __init__(self, policy: ConflictPolicy, merge: Mapping[object, Rule], nested_keys: frozenset[str]) -> None:
        self.policy, self.merge, self.nested_keys = policy, merge, nested_keys


#: of a store without options
WARN_ONLY = ConflictRules(ConflictPolicy.WARN, {}, frozenset())


def rules_of(on_conflict: str, merge: Mapping[Any, Callable[..., object]] | None) -> ConflictRules:
    """The rules that the options of a store ask for; raises for an invalid option."""
    if on_conflict not in list(ConflictPolicy):
        raise ValueError(f"Store(on_conflict={on_conflict!r}): 'warn', 'raise' or 'ignore' is needed")
    nested = frozenset(key.split(".")[0] for key in merge or () if isinstance(key, str) and "." in key)
    return ConflictRules(ConflictPolicy(on_conflict), _checked(merge) if merge else {}, nested)


def _checked(merge: Mapping[Any, Callable[..., object]]) -> dict[object, Rule]:
    """The merge rules, each with whether it takes a base."""
    if not isinstance(merge, Mapping):
        raise TypeError(f"Store(merge={value_text(merge)}): a mapping of key to rule is needed, such as {{'notes': operator.add}}")
    for key, rule in merge.items():
        if not callable(rule):
            raise TypeError(f"Store(merge={{{key!r}: {value_text(rule)}}}): a rule is a function (theirs, mine) -> value")
    return {key: (rule, _required(rule) == 3) for key, rule in merge.items()}


def _required(fn: Callable[..., object]) -> int:
    """Number of positional arguments that `fn` must get."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return 2
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


class Reported:
    """What a store has reported already, so that it does so once."""

    __slots__ = ("late", "lost")

    def __init__(self) -> None:
        self.late: dict[int, object] = {}  # by a frame's `id`; entered by `setdefault`, which no other thread comes between
        self.lost: dict[tuple[object, str, str], object] = {}


def is_fenced(frame: WalkFrame | None) -> bool:
    """Whether a frame, or one that it was entered from, was abandoned."""
    while frame is not None:
        if frame.fenced:
            return True
        frame = frame.parent
    return False


def report_late_write(frame: WalkFrame, reported: Reported) -> None:
    """Note once per step that its late writes are dropped."""
    mine = object()
    if len(reported.late) >= _REMEMBERED:
        reported.late = {}
    if reported.late.setdefault(id(frame), mine) is mine:
        frame.note("abandoned", what="store", text="an abandoned step still writes to the store: its writes are dropped")


def other_writer(store: object, log: ChangeLog, key: object, state: KeyState | None, frame: WalkFrame | None) -> Writer | None:
    """Another run or branch that wrote `key` since the current node began, if any."""
    version, writer = log.tombstones.get(key, (0, OUTSIDE)) if state is None else (state.version, state.writer)
    if frame is None or version <= frame.start_version or walked_with(frame) is not store:
        return None  # `start_version` counts the versions of the store that is walked with
    return None if writer is OUTSIDE or writer.is_related(frame) else writer


def merged_value(rule: Rule, key: object, theirs: object, mine: object, bases: Iterable[object]) -> object:
    """The result of the merge rule of `key` for the present value and the one that is written.

    Parameters
    ----------
    rule : Rule
        The rule, and whether it takes a base.
    key : hashable
        The key, for the note of an error.
    theirs, mine : object
        The live values.
    bases : iterable of object
        The frozen values that the writes since the node's beginning replaced, newest first; read only for a rule that takes a base.
    """
    merge, takes_base = rule
    try:
        if not takes_base:
            return merge(theirs, mine)
        *_, base = MISSING, *bases
        return merge(None if base is MISSING else thaw(base), theirs, mine)
    except Exception as exc:
        exc.add_note(f"raised by the merge rule of store key {key!r}, called with {value_text(theirs)} and {value_text(mine)}")
        raise


def replaced_values(log: ChangeLog, key: object, since: int, version: int) -> Iterator[object]:
    """The frozen values of `key` that writes newer than `since` replaced, newest first, in a store at `version`."""
    return (record.old for record in map(record_at, log.after(since, version)) if record.key == key)


def report_conflict(
    frame: WalkFrame, key: object, path: tuple[object, ...], mine: Writer, other: Writer, done: bool, policy: ConflictPolicy,
    reported: Reported,
) -> None:
    """Report a lost update: an event, and what `policy` says; raises `ConflictError` when it was not `done`."""
    from pocketflex_nb.core.frozen.three_way_merge import rule_name

    verb = "overwrote" if done else "was kept from overwriting"
    name = rule_name(path) if len(path) > 1 else key
    since = "read it" if len(path) > 1 else "began"
    text = (
        f"{mine.name} {verb} {name!r}, which {other.name} had written after this node {since}; "
        f"combine them: Store(merge={{{name!r}: rule}}), or write with store.update({key!r}, fn)"
    )
    facts: dict[str, Any] = {"path": path} if len(path) > 1 else {}
    frame.note("conflict", key=key, writer=mine.name, other=other.name, text=text, **facts)
    if not done:
        raise ConflictError(text, key=key, writer=mine.name, other=other.name)
    if policy is ConflictPolicy.WARN:
        first = object()
        if reported.lost.setdefault((name, mine.path, other.path), first) is first:
            warnings.warn(text, ConflictWarning, stacklevel=5)
