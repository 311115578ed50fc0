"""`Keeping`: what of a launch is kept, and taken from what was kept: journal, tape and cache; given to runs that wait to be started."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import EncodingError
from pocketflex_nb.core.flow.code_marks import code_marks, wiring
from pocketflex_nb.core.flow.node_ids import base_id
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.engine.records.inner_recording import record_inside
from pocketflex_nb.engine.records.kept_store import store_data
from pocketflex_nb.engine.records.recording import Recording
from pocketflex_nb.engine.records.reuse import Reuse
from pocketflex_nb.engine.runs.run import Run, lifecycle_of

__all__ = ["Keeping", "header_of", "keep_runs"]


@dataclass(frozen=True, slots=True)
class Keeping:
    """The options of `launch` of those names.

    Raises
    ------
    ValueError
        One is given without the other that it belongs to.
    TypeError
        A file is no path.
    """

    journal: object = None
    durability: str = "node"
    tape: object = None
    strict_tape: bool = False
    cache: object = None
    refresh_cache: bool = False

    def __post_init__(self) -> None:
        for name in ("journal", "tape", "cache"):
            path = getattr(self, name)
            if path is not None and not isinstance(path, (str, os.PathLike)):
                raise TypeError(f"launch({name}={path!r}): the path of a file is needed, such as {name}='runs.sqlite'")
        if self.strict_tape and self.tape is None:
            raise ValueError("launch(strict_tape=True) needs tape='FILE#RUN', the run that is to be played")
        if self.refresh_cache and self.cache is None:
            raise ValueError("launch(refresh_cache=True) needs cache='FILE', where the results are kept")


def keep_runs(made: Iterable[Run], keeping: Keeping) -> None:
    """Give runs that wait to be started what they take results from, and the journal that they write, with their headers."""
    runs = [lifecycle_of(run) for run in made]
    _reuse(runs, keeping)
    if keeping.journal is not None:
        _record(runs, keeping.journal, keeping.durability)
    elif any(run.outer is not None and run.outer.lifecycle.recording is not None for run in runs):
        record_inside(runs)


def _reuse(runs: list[Any], keeping: Keeping) -> None:
    """Open the tape of each run, and the cache of all."""
    if keeping.tape is None and keeping.cache is None:
        for run in runs:
            around = None if run.outer is None else run.parent.reuse
            if around is not None and (inner := around.for_inner()) is not None:
                run.take_from(inner)
        return
    if ports.journal is None:
        raise RuntimeError("the journal's room is not there")
    cache = None if keeping.cache is None else ports.journal.cache(keeping.cache)
    refreshes = set[str]() if keeping.refresh_cache else None
    for run in runs:
        tape = None
        if keeping.tape is not None:
            content = {key: dict.__getitem__(run.store, key) for key in dict.keys(run.store)}
            tape = ports.journal.tape(keeping.tape, run.flow_id, content, len(runs) == 1)
        run.take_from(Reuse(cache, refreshes, tape, is_strict=keeping.strict_tape))


def header_of(flow: Any) -> dict[str, Any]:
    """What a journal keeps of a flow: its id, its code by hashes, its arrows, and its picture."""
    from pocketflex_nb.core.flow.flow_graph import graph_of
    from pocketflex_nb.core.flow.graph_data import graph_data

    return {"flow": base_id(flow), "nodes": code_marks(flow), "wiring": wiring(flow), "graph": graph_data(graph_of(flow))}


def _item_data(item: object) -> object:
    """The item that a run was launched for, as JSON; one that cannot be kept as its text."""
    from pocketflex_nb.core.codec.encoder import encode

    try:
        return json.loads(encode(item))
    except EncodingError:
        return value_text(item, 200)


def _record(lives: list[Any], path: object, durability: str) -> None:
    """Begin the runs in the journal at `path`."""
    if ports.journal is None:
        raise RuntimeError("the journal's room is not there")
    done, walked = list[Recording](), dict[int, dict[str, Any]]()
    together = os.urandom(8).hex() if len(lives) > 1 else None
    stores = [life.store for life in lives]
    if len({id(store) for store in stores}) < len(stores) and any(type(store) is Store for store in stores):
        raise ValueError(
            "journal= with a store in memory that several runs share: after a crash each would go on with changes of its own; "
            "share one that outlives the process, such as open_store('sqlite:///shared.db')"
        )
    try:
        for run in lives:
            uid, flow, store = os.urandom(16).hex(), run.flow, run.store
            if id(flow) not in walked:
                walked[id(flow)] = header_of(flow)
            header = {"uid": uid, **walked[id(flow)], "limits": run.limits or {}, "base": run.base, "told": 1}
            if together is not None:
                header["group"] = together
            if run.item is not None:
                header["item"] = [run.item[0], _item_data(run.item[1])]
            if (url := getattr(store, "url", None)) is not None:  # what is kept elsewhere holds its own values
                header["store_url"] = url
            elif data := store_data(store):
                header["store_options"] = data
            if run.reuse is not None and run.reuse.cache is not None:
                header["cache"] = str(run.reuse.cache.path)
            header["transient"] = sorted(map(str, store._transient))
            content = {} if type(store) is not Store else {key: dict.__getitem__(store, key) for key in dict.keys(store)}
            recorder = ports.journal.begin(path, run.name, header, content, store._transient, durability)
            recording = Recording(recorder, uid)
            run.record_in(recording)
            done.append(recording)
    except BaseException:
        for recording in done:
            recording.ended("cancelled", "it was not started: another run of its group could not be")
        raise
