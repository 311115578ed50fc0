"""`Writer`: the run, node and step that made a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import WalkFrame

__all__ = ["OFTEN", "OUTSIDE", "UNRESOLVED", "Writer", "writer_of"]


#: writers whose frames a store may reference
UNRESOLVED = 256

#: a node's changes are looked at, to be shortened, when their list's length has none of these bits
OFTEN = 2_047


class Writer:
    """The writer of a change: one node in one walk. References the walk's frame only until its names were read."""

    __slots__ = ("frame", "line", "node", "path", "run")

    def __init__(self, frame: WalkFrame | None) -> None:
        self.frame = frame
        self.node: object = None if frame is None else frame.node
        self.run = self.path = ""
        self.line: tuple[int, ...] = ()

    def resolve(self) -> Writer:
        """Read the names from the frame and release it.

        `line` is the `id`s of the frame and those it was entered from. An id is used again once its frame is gone, but only by
        a frame that began after whatever the old one wrote, so it cannot be mistaken in `is_related` as conflicts ask it.
        """
        frame = self.frame
        if frame is not None:
            self.run = str(getattr(frame.run, "name", "") or "")
            self.path = "" if self.node is None else str(frame.path(self.node))
            line = []
            above: WalkFrame | None = frame
            while above is not None:
                line.append(id(above))
                above = above.parent
            self.line = tuple(line)
            self.frame = self.node = None
        return self

    def is_related(self, frame: WalkFrame | None) -> bool:
        """Whether `frame` is this writer's own, or one that it was entered from, or was entered from it."""
        line = self.resolve().line
        if id(frame) in line:
            return True
        mine = line[0] if line else 0
        while frame is not None:
            if id(frame) == mine:
                return True
            frame = frame.parent
        return False

    @property
    def name(self) -> str:
        """For messages: ``node 'search' of run 'night'``."""
        self.resolve()
        return f"node {self.path!r} of run {self.run!r}" if self.run or self.path else "code outside of any run"

#: the writer outside of runs
OUTSIDE = Writer(None)


def writer_of(frame: WalkFrame | None, unresolved: list[Writer]) -> Writer:
    """The writer for the current node of `frame`, made once per walk and node."""
    if frame is None:
        return OUTSIDE
    writers: dict[object, Writer] | None = getattr(frame, "writers", None)
    if writers is None:
        writers = {}
        try:
            frame.writers = writers
        except AttributeError:  # a frame that has no place for it
            pass
    writer = writers.get(frame.node)
    if writer is None:
        writer = writers[frame.node] = Writer(frame)
        unresolved.append(writer)
        if len(unresolved) > UNRESOLVED:  # let the runs that came by be forgotten
            for known in unresolved:
                known.resolve()
            unresolved.clear()
    return writer
