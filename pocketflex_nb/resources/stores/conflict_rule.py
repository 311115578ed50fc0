"""The conflict rule of a shared store: which overwrites are lost updates, and what the merge rules make of them."""

from __future__ import annotations

from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.errors import DecodingError
from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.core.frozen.three_way_merge import Merge
from pocketflex_nb.core.port_types import WalkFrame
from pocketflex_nb.core.store.conflicts import ConflictPolicy, ConflictRules
from pocketflex_nb.core.store.writer import OUTSIDE, Writer
from pocketflex_nb.resources.stores.replica import Replica, ReplicaEntry

__all__ = ["ConflictRule"]


class ConflictRule:
    """Decides what happens to a key that several nodes write at the same time.

    Parameters
    ----------
    replica : Replica
        What is known of the store.
    rules : ConflictRules
        The store's policy and merge rules.

    Attributes
    ----------
    refuses : bool
        Whether a lost update is refused instead of reported.
    """

    __slots__ = ("_merge", "_replica", "refuses")

    def __init__(self, replica: Replica, rules: ConflictRules) -> None:
        self._replica, self._merge, self.refuses = replica, rules.merge, rules.policy is ConflictPolicy.RAISE

    def has_rule(self, key: object) -> bool:
        """Whether concurrent writes of `key` are merged by a rule."""
        return key in self._merge

    def writer_since(self, key: object, since: int, frame: WalkFrame) -> tuple[Writer | None, int]:
        """Another writer of `key` after version `since`, if any, and the present version of the key (0: missing)."""
        entry = self._replica.entries.get(key)
        version, writer = self._replica.gone.get(key, (0, OUTSIDE)) if entry is None else (entry.version, entry.writer)
        is_lost = version > since and writer is not OUTSIDE and not writer.is_related(frame)
        return (writer.resolve() if is_lost else None), 0 if entry is None else version

    def is_own(self, current: ReplicaEntry, changed: ReplicaEntry, frame: WalkFrame | None) -> bool:
        """Whether the present value was written by the same node, or by code of this process outside of nodes."""
        if current.text == changed.text:
            return False
        writer = current.writer
        return writer is OUTSIDE or (frame is not None and writer.is_related(frame))

    def merged(self, key: object, mine: object, base: object) -> object:
        """What the rule of `key` makes of the present value and `mine`; `base` is the text before both."""
        rule, takes_base = self._merge[key]
        entry = self._replica.entries.get(key)
        if entry is None:
            return mine
        try:
            theirs = decode(entry.text)
        except DecodingError:  # there is nothing to merge with: it is overwritten
            return mine
        if not takes_base:
            return rule(theirs, mine)
        try:
            before = decode(base) if isinstance(base, str) else None
        except DecodingError:
            before = None
        return rule(before, theirs, mine)

    def merged_nested(self, changed: ReplicaEntry, current: ReplicaEntry) -> tuple[object, list[tuple[object, ...]]]:
        """A value that was changed in place, merged with the present one part by part; and the paths that both changed."""
        base, theirs = (freeze(decode(text, unloaded="keep")) for text in (changed.text, current.text))
        merge = Merge(self._merge, joins=False)
        live = decode(current.text, unloaded="keep")
        value = merge.value((changed.key,), base, theirs, freeze(changed.value, base), live, changed.value)
        return value, merge.lost
