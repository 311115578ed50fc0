"""`reopened`: a run of a journal as a `Run`; its lifecycle is over, and is read from the journal when somebody asks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.codec.decoder import decode
from pocketflex_nb.core.errors import JournalError, RecordedError, RunCancelled, RunHeld, nearest
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.graph_data import graph_of_data, graph_of_wiring
from pocketflex_nb.core.flow.node_ids import base_id
from pocketflex_nb.engine.records.recorded_events import ns_of, recorded_action
from pocketflex_nb.engine.records.recorded_log import RecordedLog
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.engine.runs.run_lifecycle import RunLifecycle, registry

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.flow_graph import Graph
    from pocketflex_nb.core.port_types import ReopenedRun

__all__ = ["RecordedLifecycle", "as_recorded", "flow_named", "flows_here", "item_of", "origin_of", "reopened", "unknown_flow"]

#: a number that no record of a run has
_ALL = 1 << 39


class RecordedLifecycle(RunLifecycle):
    """The engine's side of a run that is read from a journal.

    Parameters
    ----------
    run : Run
        The handle.
    recorded : ReopenedRun
        What the journal has of it.
    flow : Flow
        What it walked, or one that stands for it.

    Attributes
    ----------
    source : str
        The journal's file, as views name it.
    """

    def __init__(self, run: Run, recorded: ReopenedRun, flow: Flow, is_known: bool) -> None:
        self.recorded, self.is_known = recorded, is_known
        super().__init__(flow, None, recorded.name, launched=False, is_detached=True)
        self.handle = run
        self._name, self._log, self.given_name = recorded.name, RecordedLog(recorded), recorded.name  # type: ignore[assignment]  # reads alike
        end = self._end = recorded.end()
        self.stage = "unfinished" if end is None else str(end.data["status"])
        self.started = ns_of(recorded.begun)
        self.launched = True
        self.item, self.origin = item_of(recorded.header), origin_of(recorded.header)

    @property
    def source(self) -> str:
        """The name of the journal's file."""
        return str(self.recorded.path.name)

    @property
    def source_text(self) -> str:
        """The journal that it was reopened from, for views."""
        return f"reopened from {self.source}"

    @property
    def kept_at(self) -> tuple[Any, int]:
        """The journal's file, and the run's number there."""
        return self.recorded.path, self.recorded.run

    @property
    def flow_id(self) -> str:
        """The first part of every address."""
        return str(self.recorded.header.get("flow", ""))

    @property
    def base(self) -> str:
        """The name it was given, before numbering."""
        return str(self.recorded.header.get("base", self.recorded.name))

    def graph(self) -> Graph:
        """The flow as it was wired when the run began."""
        header = self.recorded.header
        if header.get("graph"):
            return graph_of_data(header["graph"], self.name)
        return graph_of_wiring(header.get("nodes") or {}, header.get("wiring") or [], self.name)

    @property
    def store(self) -> Any:
        """The store at the run's end, with its past."""
        url = self.recorded.header.get("store_url")
        if url is not None and ports.journal is not None:
            return self._shared_store
        return self._recorded_log.stores()[""]

    @store.setter
    def store(self, value: object) -> None:
        pass  # it is read from the journal

    @cached_property
    def _shared_store(self) -> object:
        assert ports.journal is not None
        return ports.journal.reopened_store(str(self.recorded.header["store_url"]))

    @property
    def _recorded_log(self) -> RecordedLog:
        log: Any = self._log
        found: RecordedLog = log
        return found

    def stores(self) -> dict[str, Any]:
        """Its store under ``""``, and the private stores of flows by address."""
        return {**self._recorded_log.stores(), "": self.store}

    @property
    def hops(self) -> int:
        """Finished hops, those that failed among them."""
        return self.state().steps

    @hops.setter
    def hops(self, value: int) -> None:
        pass

    @property
    def finished(self) -> int:
        """When it ended; when the last node was finished, if it did not."""
        return self._finished

    @finished.setter
    def finished(self, value: int) -> None:
        pass

    @cached_property
    def _finished(self) -> int:
        if self._end is not None and "t" in self._end.data:
            return ns_of(float(self._end.data["t"]))
        return max(self.started + int(self.recorded.last_time() * 1e9), self.started + 1)

    @property
    def action(self) -> Any:
        """The last action."""
        return None if self._end is None else recorded_action(self._end.data.get("a"))

    @action.setter
    def action(self, value: object) -> None:
        pass

    @cached_property
    def error(self) -> BaseException | None:  # type: ignore[override]  # made when asked for
        """What ended it, as far as that was kept."""
        if self.stage == "done":
            return None
        if self._end is None:
            return self._unfinished()
        told = str(self._end.data.get("error") or self.stage)
        if self.stage == "cancelled":
            return RunCancelled(told.removeprefix("RunCancelled: "))
        name = told.partition(":")[0]
        return RecordedError(told, kind=f":{name}" if name.isidentifier() else "")

    def trace_lines(self) -> list[str]:
        """The user's own lines that led to the error, the last call first, as far as they were kept."""
        for row in reversed(self.recorded.lasting(_ALL)):
            for kind, _, _, _, facts in row.notes():
                if kind == "node_failed" and facts.get("trace"):
                    return [str(line) for line in facts["trace"]]
        return []

    def _unfinished(self) -> JournalError:
        path, name = str(self.recorded.path), self.name
        if self.recorded.is_held:
            return RunHeld(f"run {name!r} of {path} goes on in another process; open the journal again to see how far it is")
        return JournalError(f"run {name!r} of {path} did not end: its process ended before; resume({path!r}, {name!r}) goes on with it")

    @property
    def spent(self) -> Mapping[str, float]:
        """Tokens and cost."""
        tokens, cost = self.recorded.usage()
        return Counter({"tokens": tokens, "cost": cost})

    def done(self) -> bool:
        """True: nothing here goes on with it."""
        return True

    def cancel(self) -> bool:
        """Mark one that did not end as cancelled, so that `resume` passes it over; False when it is over."""
        if self.stage != "unfinished":
            return False
        assert ports.journal is not None
        ports.journal.cancel(self.recorded.path, self.recorded.run)
        self.stage, self._end = "cancelled", self.recorded.end()
        self.__dict__.pop("error", None)
        self.__dict__.pop("_finished", None)
        self._log = RecordedLog(self.recorded)  # type: ignore[assignment]  # reads alike
        return True


def item_of(header: Mapping[str, Any]) -> tuple[str | None, object] | None:
    """The key and the value that a run was launched for, as one of many, from its header."""
    import json

    found = header.get("item")
    return None if not isinstance(found, list) else (found[0], decode(json.dumps(found[1]), unloaded="keep"))


def origin_of(header: Mapping[str, Any]) -> str:
    """What a run was forked from, by its header: ``fork of night at step 37``."""
    found = header.get("origin")
    return f"fork of {found.get('name')} at step {found.get('at')}" if isinstance(found, Mapping) else ""


def flow_named(name: str, flow: object) -> Flow | None:
    """The flow of that id: the one that is given, one of a dict, or of the notebook; None when there is none."""
    if isinstance(flow, Flow):
        return flow
    known = flows_here() if not isinstance(flow, Mapping) else {str(key): value for key, value in flow.items()}
    return known.get(name)


def flows_here() -> dict[str, Flow]:
    """The notebook's flows by their ids."""
    main = list(vars(sys.modules["__main__"]).items())
    return {base_id(value): value for key, value in main if isinstance(value, Flow) and not key.startswith("_")}


@lru_cache(256)
def _standing_for(name: str, wiring: tuple[str, ...]) -> Flow:
    """A flow for one whose code is not loaded: runs of the same one are drawn together."""
    return Flow(name=name)


def reopened(recorded: ReopenedRun, flow: object = None) -> Run:
    """A run of a journal: the live one while it goes on in this process, else one that is read from the journal.

    Parameters
    ----------
    recorded : ReopenedRun
        What the journal has of it.
    flow : Flow or dict of str to Flow, optional
        What it walked, for `Run.fork`; default: the notebook's.
    """
    for life in registry.live():
        if life.kept_at is not None and life.kept_at == (recorded.path, recorded.run):
            live: Run = life.run
            return live
    name = str(recorded.header.get("flow", ""))
    walked = flow_named(name, flow)
    return _run_of(recorded, walked or _standing_for(name, tuple(recorded.header.get("wiring") or ())), walked is not None)


def as_recorded(run: Run) -> Run:
    """A journalled run of this process as its journal has it now, with what earlier processes did."""
    kept_at = lifecycle_of(run).kept_at
    assert kept_at is not None
    assert ports.journal is not None
    return _run_of(ports.journal.glance(*kept_at), run.flow, True)


def _run_of(recorded: ReopenedRun, flow: Flow, is_known: bool) -> Run:
    run = Run.__new__(Run)
    run._lifecycle = RecordedLifecycle(run, recorded, flow, is_known)
    return run


def unknown_flow(name: str, what: str, mend: str, flow: object = None) -> JournalError:
    """The error for a flow that is not loaded here."""
    known = [str(key) for key in flow] if isinstance(flow, Mapping) else list(flows_here())
    return JournalError(f"{what} walks the flow {name!r}, which is not known here{nearest(name, known)}; {mend}")
