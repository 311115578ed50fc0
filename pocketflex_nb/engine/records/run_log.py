"""The log of a run: its records, read as events and folded into state.

Records are five fields each in one flat list (see :mod:`pocketflex_nb.engine.records.frame`). Code that iterates over it counts, per
walk and node, how many visits are finished, so that addresses are made when they are read and cost the walk nothing. Old records are
counted and dropped: at least the last `KEPT_RECORDS` stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, repeat
from operator import countOf, is_
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.events import EPOCH, Event
from pocketflex_nb.core.flow.node_ids import base_id, ids_of
from pocketflex_nb.core.store.change_log import TIME, places_in
from pocketflex_nb.engine.records.frame import KEPT_RECORDS, TRIM_AT, WIDTH, Frame, Several
from pocketflex_nb.engine.records.nested_blocks import NESTED, Block, inner_event
from pocketflex_nb.engine.records.record import CHANGED, Failure, Note, format_error, rows
from pocketflex_nb.engine.records.visit_counts import VisitCounts

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.core.state import State
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["WALKS", "RunLog"]



#: nodes of walks that are counted one by one; above it, walks that are over are forgotten
WALKS = 1_000


class RunLog:
    """The records of one run.

    Attributes
    ----------
    records : list
        The run's own list: the fields of the kept records, oldest first. Walks extend it directly.
    """

    __slots__ = ("_base", "_cursor", "_folding", "_ids", "_lock", "_state", "records", "run")

    def __init__(self, run: Lifecycle[Frame], records: list[Any]) -> None:
        self.run, self.records = run, records
        self._base: VisitCounts | None = None  # what stands before records[0]
        self._cursor: VisitCounts | None = None  # what stands before the first record that `state` has not seen
        self._state: State | None = None
        self._ids: dict[BaseNode, dict[BaseNode, str]] | None = None
        self._lock, self._folding = Lock(), RLock()

    # names -----------------------------------------------------------------------------------------------------------
    def path(self, frame: Frame, node: BaseNode | None) -> str:
        """Graph path of `node` in the flow that `frame` walks."""
        if node is None:
            return self.prefix(frame)
        outer = self.prefix(frame)
        return f"{outer}/{self._id(frame, node)}" if outer else self._id(frame, node)

    def prefix(self, frame: Frame) -> str:
        """Graph path of the flow that `frame` walks; ``""`` for the outermost."""
        owner = _owner(frame)
        return "" if owner.parent is None else self.path(owner.parent, owner.outer)

    def _id(self, frame: Frame, node: BaseNode) -> str:
        owner = _owner(frame)
        flow = owner.flow if owner.outer is None else owner.outer
        if self._ids is None:
            self._ids = {}
        ids = self._ids.get(flow)
        if ids is None or node not in ids:  # wired, or chosen by get_next_node, after the last look
            ids = self._ids[flow] = {**(ids or {}), **ids_of(owner.flow)}
            ids.setdefault(node, base_id(node))
        return ids[node]

    def address(self, frame: Frame) -> str:
        """The address of the current node of `frame`."""
        with self._folding:
            self._fold()
            return self._address(self._cursor or VisitCounts(), frame, frame.node, 1)

    def walk_address(self, frame: Frame) -> str:
        """The address of the walk of `frame` itself."""
        with self._folding:
            self._fold()
            return self._prefix(self._cursor or VisitCounts(), frame)

    def _address(self, counts: VisitCounts, frame: Frame, node: BaseNode | None, ahead: int) -> str:
        where = self._prefix(counts, frame)
        if node is None:
            return where
        walk = frame
        while walk.step and walk.parent is not None:
            walk = walk.parent
        visit = counts.visits.get((walk, node), 0) + ahead
        item = f"[{frame.item}]" if frame.step and frame.item is not None else ""
        return f"{where}/{self._id(walk, node)}#{visit}{item}"

    def _prefix(self, counts: VisitCounts, frame: Frame) -> str:
        """The address of the walk itself; fixed when it is first requested, while the outer node is running."""
        if frame.step and frame.parent is not None:
            return self._prefix(counts, frame.parent)
        if frame.parent is None:
            return str(self.run.flow_id)
        known = counts.prefixes.get(frame)
        if known is None:
            branch = frame.branch  # the forking node's visit is over, a nested flow's is in flight
            known = self._address(counts, frame.parent, frame.outer, 1 if branch is None else 0)
            if branch is not None:
                known += f"{{{self._id(frame, branch)}}}"
            if frame.item is not None:
                known += f"[{frame.item}]"
            counts.prefixes[frame] = known
        return known

    # reading ---------------------------------------------------------------------------------------------------------
    def events(self) -> list[Event]:
        """The kept records as events."""
        return self.events_from(0)

    def events_from(self, seq: int) -> list[Event]:
        """The kept records as events, from number `seq` on."""
        events, _ = self.follow(VisitCounts())
        return events if not seq else [event for event in events if event.seq >= seq]

    def follow(self, counts: VisitCounts) -> tuple[list[Event], VisitCounts]:
        """The events after `counts`, and the counts after those; what was dropped meanwhile is skipped."""
        if not self.run.started:
            return [], counts
        counts, kept = self._behind(counts)
        events = [] if counts.seq else [self._start(counts)]
        events += self._read(counts, kept)
        return events, counts

    def _read(self, counts: VisitCounts, kept: Iterator[tuple[Any, ...]]) -> Iterator[Event]:
        """The events of records: one each, except for a block of an inner run's."""
        for record in kept:
            if record[2] is NESTED:
                yield from self._of_block(counts, record[0], record[1], record[3])
            else:
                yield self._event(counts, *record)

    def _of_block(self, counts: VisitCounts, frame: Frame, node: BaseNode, block: Block) -> list[Event]:
        seq, counts.seq = counts.seq, counts.seq + block.number
        address, path = self._inner(counts, frame, node, block, 1)
        controller = self.run.controller
        asks = {} if controller is None else controller.questions.inner
        return [inner_event(event, block, seq, address, path, asks) for event in block.read()]

    def _inner(self, counts: VisitCounts, frame: Frame, node: BaseNode, block: Block, ahead: int) -> tuple[str, str]:
        """Address and graph path of an inner run; fixed when it is first requested, while its step is running."""
        known = counts.inner.pop(block.key, None) if block.is_last else counts.inner.get(block.key)
        if known is None:
            id_ = block.flow_id
            where = f"{self._address(counts, frame, node, ahead)}/{id_}"
            counts.begun[where] = number = counts.begun.get(where, 0) + 1
            if len(counts.begun) > WALKS:
                for old in list(counts.begun)[: WALKS // 2]:
                    del counts.begun[old]
            known = f"{where}#{number}", f"{self.path(frame, node)}/{id_}"
            if not block.is_last:
                counts.inner[block.key] = known
        return known

    def _behind(self, counts: VisitCounts) -> tuple[VisitCounts, Iterator[tuple[object, ...]]]:
        """`counts`, advanced to the first kept record if need be, and the records after it."""
        if self.run.nested is not None:
            self.run.nested.take()
        with self._lock:
            first = 0
            if self._base is not None:
                first = self._base.row
                if counts.row < first:
                    counts = self._base.copy()
            kept = self.records[(counts.row - first) * WIDTH :]
            counts.row += len(kept) // WIDTH
            return counts, rows(kept)

    def state(self) -> State:
        """The state now; each record is folded once, whichever threads ask."""
        with self._folding:
            return self._fold()

    def _fold(self) -> State:
        if self._state is None:
            from pocketflex_nb.core.state import State

            self._state, self._cursor = State(), VisitCounts()
        state = self._state
        assert self._cursor is not None
        if self.run.started and not self._cursor.seq:
            state.add(self._start(self._cursor))
        cursor, kept = self._behind(self._cursor)
        if cursor is not self._cursor:
            self._cursor = cursor
            self._catch_up(state, cursor)
        for event in self._read(cursor, kept):
            state.add(event)
        if not self.run.done():
            self._mark(state)
        return state

    def _mark(self, state: State) -> None:
        """Mark the current nodes: they are fields of the frames, not records."""
        for node in state.nodes.values():
            node.active = 0
            node.runs.pop("pending", None)
        for path in self._to_begin():
            runs = state.node(path).runs
            runs["pending"] = runs.get("pending", 0) + 1
        asking = {event.node for event in state.asking.values()}
        inside = tuple(event.node for event in state.asking.values() if event.depth)
        for path, is_waiting in self._here():
            node = state.node(path)
            node.active += 1
            asks = path in asking or any(inner.startswith(f"{path}/") for inner in inside)
            node.status = "asking" if asks else "waiting" if is_waiting else "running"
        state.status = self.run.status

    def _here(self) -> Iterator[tuple[str, bool]]:
        """Graph paths of the current nodes, those of inner runs included, and whether they wait before the node."""
        run = self.run
        waiting = run.controller.gate.waiting if run.controller is not None else ()
        for frame in run.frames():
            if (node := frame.node) is not None:
                yield self.path(frame, node), frame in waiting
        for child, (_, frame, node) in list(run.nested.live.items()) if run.nested is not None else ():
            outer = f"{self.path(frame, node)}/{child.flow_id}"
            for path, is_waiting in child.log._here() if child.started else ():
                yield f"{outer}/{path}", is_waiting

    def _to_begin(self) -> Iterator[str]:
        """Graph path of the node for each inner run, at any depth, that was made and waits for its place."""
        for child, (_, frame, node) in list(self.run.nested.live.items()) if self.run.nested is not None else ():
            path = self.path(frame, node)
            if child.started:
                yield from (f"{path}/{child.flow_id}/{inner}" for inner in child.log._to_begin())
            elif not child.done():
                yield path

    def in_flight(self) -> list[str]:
        """Graph paths of the nodes being visited now."""
        return [self.path(frame, frame.node) for frame in self.run.frames() if frame.node is not None]

    def _catch_up(self, state: State, cursor: VisitCounts) -> None:
        """Bring `state`, which had to skip records, up to `cursor` from its sums."""
        state.steps = cursor.steps
        for path, (visits, seconds) in cursor.sums.items():
            known = state.node(path)
            known.status = "done" if not known.visits else known.status
            known.visits, known.seconds = visits, seconds
        state.edges.update(cursor.edges)

    def _event(self, counts: VisitCounts, frame: Any, node: Any, what: Any, start: Any, end: int) -> Event:
        seq, counts.seq = counts.seq, counts.seq + 1
        if what.__class__ is not Note:
            return self._hop(counts, seq, frame, node, what, start, end)
        address = self._address(counts, frame, node, 1) if frame is not None else ""
        path = self.path(frame, node) if frame is not None and node is not None else ""
        data: Any = what.data
        if what is CHANGED:
            from pocketflex_nb.core.store.changes import Changes

            changes = list(places_in(start)) if end < 0 else [(start, end)]
            end = -end if end < 0 else start[end + TIME]
            data = {"changes": Changes(changes)}
            scope = frame.scope if frame is not None else None
            if scope is not None:
                data["store"] = self._prefix(counts, scope)
        elif what.kind == "run_finished":
            data = self._of_the_run(data)
        return Event(seq, end, what.kind, self.run.name, address, path, data, what.cause, (end + EPOCH) / 1e9)

    def _start(self, counts: VisitCounts) -> Event:
        """The first event; every run has it, so none keeps a record of it."""
        counts.seq = 1
        run = self.run
        data = {"flow": run.flow_id, "name": run.base, "parent": run.parent.name if run.parent is not None else None}
        return Event(0, run.started, "run_started", run.name, run.flow_id, "", data, None, (run.started + EPOCH) / 1e9)

    def _of_the_run(self, status: str) -> dict[str, object]:
        """The event of the run's last record."""
        run = self.run
        return {"status": status, "action": run.action, "error": None if run.error is None else format_error(run.error)}

    def _hop(self, counts: VisitCounts, seq: int, frame: Frame, node: BaseNode, action: object, start: int, end: int) -> Event:
        visit = counts.visits[frame, node] = counts.visits.get((frame, node), 0) + 1
        counts.steps += 1
        address, path = self._address(counts, frame, node, 0), self.path(frame, node)
        seconds = (end - start) / 1e9
        data: dict[str, object] = {"start": start, "seconds": seconds, "visit": visit}
        if isinstance(action, Failure):
            data |= {"error": format_error(action.error), "handled": action.handled, "status": action.status}
        elif action.__class__ is Several:
            data |= {"action": str(action), "branches": dict(action.counts)}
        else:
            data["action"] = action or "default"
        if self.run.reuse is not None and (origin := self.run.reuse.marks.get(address)) is not None:
            data[origin] = True
        _take(counts, path, action, 1)
        visits, before = counts.sums.get(path, (0, 0.0))
        counts.sums[path] = (visits + 1, before + seconds)
        kind = "node_failed" if isinstance(action, Failure) else "node_finished"
        return Event(seq, end, kind, self.run.name, address, path, data, None, (end + EPOCH) / 1e9)

    # bounds ----------------------------------------------------------------------------------------------------------
    def size(self) -> int:
        """How many events there are, dropped ones included."""
        if self.run.nested is not None:
            self.run.nested.take()
        with self._lock:
            records, seq = self.records, self._base.seq if self._base is not None else 1
            seq += len(records) // WIDTH
            if self.run.has_changes:
                seq += _joined(records[3::WIDTH], records[2::WIDTH])
            if self.run.nested is not None:
                seq += sum(block.number - 1 for what, block in zip(records[2::WIDTH], records[3::WIDTH], strict=True) if what is NESTED)
            return seq

    def trim(self) -> None:
        """Count and drop the oldest records when there are a quarter more than `KEPT_RECORDS`. Called by walks from time to time."""
        with self._lock:
            size = len(self.records) - KEPT_RECORDS * WIDTH
            if size < TRIM_AT - KEPT_RECORDS * WIDTH:
                return
            base, records = self._base or VisitCounts(), self.records
            frames, nodes, whats = records[:size:WIDTH], records[1:size:WIDTH], records[2:size:WIDTH]
            base.row += len(nodes)
            base.seq = (base.seq or 1) + len(nodes)
            if self.run.nested is not None:
                self._pass_blocks(base, frames, nodes, whats, records[3:size:WIDTH])
            if self.run.has_changes:
                base.seq += _joined(records[3:size:WIDTH], whats)
            for (frame, node, action), times in _tally(frames, nodes, whats).items():
                base.steps += times
                self._count(base, frame, node, action, times)
            self._base = base
            del records[:size]
            if len(base.visits) + len(base.prefixes) > WALKS:
                self._forget(base)

    def _pass_blocks(self, base: VisitCounts, frames: list[Frame], nodes: list[BaseNode], whats: list[object], starts: list[Any]) -> None:
        """Count the events of blocks that are dropped, and keep the addresses of those that continue."""
        for row, block in enumerate(starts):
            if whats[row] is NESTED:
                base.seq += block.number - 1
                frame, node = frames[row], nodes[row]
                walk = frame.parent if frame.step and frame.parent is not None else frame
                done = sum(f is walk and n is node and type(w) is not Note for f, n, w in zip(frames[:row], nodes, whats, strict=False))
                self._inner(base, frame, node, block, 1 + done)

    def _count(self, counts: VisitCounts, frame: Frame, node: BaseNode, action: object, times: int) -> None:
        self._prefix(counts, frame)
        counts.visits[frame, node] = counts.visits.get((frame, node), 0) + times
        path = self.path(frame, node)
        visits, before = counts.sums.get(path, (0, 0.0))
        counts.sums[path] = (visits + times, before)
        _take(counts, path, action, times)

    def _forget(self, counts: VisitCounts) -> None:
        """Drop walks that are over and of which no record is kept."""
        needed = {frame for frame in self.records[::WIDTH] if frame is not None}
        needed.update(frame for frame, _ in counts.visits if frame.node is not None)
        for frame in list(needed):
            while (frame := frame.parent) is not None and frame not in needed:
                needed.add(frame)
        counts.visits = {key: n for key, n in counts.visits.items() if key[0] in needed}
        counts.prefixes = {frame: text for frame, text in counts.prefixes.items() if frame in needed}

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events())


def _take(counts: VisitCounts, path: str, action: object, times: int) -> None:
    """Count the arrows that a visit's action took."""
    if action.__class__ is Several:
        taken = {name: n * times for name, n in action.counts.items()}
    elif action.__class__ is Failure:
        taken = {"!error": times} if action.handled else {}
    else:
        taken = {str(action or "default"): times}
    for name, n in taken.items():
        counts.edges[path, name] = counts.edges.get((path, name), 0) + n


def _joined(starts: Sequence[object], whats: Sequence[object]) -> int:
    """How many hops have a position of a change."""
    pages = countOf(map(type, starts), list)
    return pages - countOf(map(is_, whats, repeat(CHANGED)), True) if pages else 0


def _tally(frames: list[Frame], nodes: list[BaseNode], whats: list[object]) -> Mapping[tuple[Frame, BaseNode, object], int]:
    """How often each (frame, node, action) occurs, notes left out. One frame and one action, as in most loops, take half the time."""
    try:
        kinds = set(whats)
        if any(type(what) is Note for what in kinds):
            hops = [type(what) is not Note for what in whats]
            frames, nodes, whats = list(compress(frames, hops)), list(compress(nodes, hops)), list(compress(whats, hops))
        elif len(kinds) == 1 and frames.count(frames[0]) == len(frames):
            frame, (what,) = frames[0], kinds
            return {(frame, node, what): times for node, times in Counter(nodes).items()}
        return Counter(zip(frames, nodes, whats, strict=True))
    except TypeError:  # an action that no dict takes
        rows = [row for row in zip(frames, nodes, whats, strict=True) if type(row[2]) is not Note]
        return Counter((frame, node, _plain(what)) for frame, node, what in rows)


def _plain(what: object) -> object:
    """An action, as a dict can use it."""
    return what if isinstance(what, (str, Failure, Several)) or what is None else str(what or "default")


def _owner(frame: Frame) -> Frame:
    """The walk of a whole flow that `frame` is, or is a branch or step of."""
    while (frame.step or frame.branch is not None) and frame.parent is not None:
        frame = frame.parent
    return frame
