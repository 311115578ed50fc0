"""The number of the format, its plain types, and `Unloaded`: the placeholder of a value whose class is not loaded."""

from __future__ import annotations

__all__ = ["DEEPEST", "FLAT", "NAMES", "UNREADABLE", "VALUE_FORMAT", "Unloaded"]


#: tag of a text that is no value, kept among values
UNREADABLE = "unreadable"

#: number of this format, kept beside what is written in it
VALUE_FORMAT = 1

#: containers in one another, at most
DEEPEST = 200


class Unloaded:
    """A value that cannot be read here, as `decode` gives it with ``unloaded="keep"``. Written again as it was read.

    Attributes
    ----------
    tag : str
        The kind: ``"dataclass"``, ``"enum"``, ``"ndarray"`` ...; ``"unreadable"`` for a text that is no value at all.
    cls : str
        Module and name of its class: ``"__main__:Point"``.
    members : dict
        What was written down.
    reason : str
        Why it cannot be read; empty when its class is not loaded here.
    """

    __slots__ = ("cls", "members", "reason", "tag")

    def __init__(self, members: dict[str, object], reason: str = "") -> None:
        self.members, self.reason = members, reason
        tag, named = members["$"], members.get("c")
        self.tag = tag if type(tag) is str else "unknown"
        self.cls = named if type(named) is str else self.tag

    @classmethod
    def of_text(cls, text: object, reason: str) -> Unloaded:
        """The placeholder of a text that is not a valid value."""
        return cls({"$": UNREADABLE, "v": text if isinstance(text, str) else repr(text)}, reason)

    def __repr__(self) -> str:
        if self.tag == UNREADABLE:
            return f"<unreadable: {self.reason or 'no value of this version'}>"
        return f"<{self.cls}, {f'which cannot be read here: {self.reason}' if self.reason else 'whose class is not loaded here'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unloaded) and other.members == self.members

    def __hash__(self) -> int:
        return hash((self.tag, self.cls))  # a key of a dict may be one

NAMES, FLAT = frozenset({str}), frozenset({str, bool, type(None), int})
