"""Which store the Store tab shows: that of the step at the time cursor, until one is chosen: the run's own, or a flow's private one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pocketflex_nb.notebook.run_data.detail_tabs import Step, TabContent, reading_replica, store_content, store_of
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["FOLLOW", "StoreChoice"]

#: stands for the store of the step at the time cursor, which no address is
FOLLOW = "*"

#: what an address has beside the ids of nodes: the visit that forked before a branch; visits, items and attempts
_BRANCH, _COUNTED = re.compile(r"[^/]*\{[^{}]*\}(?:\[\d+\])?/"), re.compile(r"#\d+|\[\d+\]|~\d+")
#: stores that are offered, the latest
_OFFERED = 30


def _graph_path(address: str) -> str:
    """The graph path of the flow at an address: ``report/plan#1{search}/rank#2[3]`` is ``rank``."""
    inside = address.partition("/")[2]
    return _COUNTED.sub("", _BRANCH.sub("", inside))


class StoreChoice:
    """The store that a person chose in one view, if any."""

    def __init__(self) -> None:
        self._chosen: tuple[int, str] | None = None  # number of the run, and address; "" is the run's own

    def choose(self, runs: Sequence[ViewedRun], place: str) -> None:
        """Show a store.

        Parameters
        ----------
        runs : sequence of Run
            The runs in focus, the one to look into first.
        place : str
            A key of `Run.stores`, or `FOLLOW`.

        Raises
        ------
        LookupError
            No run has such a store, or it has dropped it.
        """
        if place == FOLLOW:
            self._chosen = None
            return
        run = next((run for run in runs if place in run.stores), None)
        if run is None:
            raise LookupError(f"no store {place!r}")
        self._chosen = run.number, place

    def choose_of(self, runs: Sequence[ViewedRun], path: str) -> None:
        """Show the latest private store of the flow that the picture calls `path`.

        Raises
        ------
        LookupError
            None of the runs has one.
        """
        for run in reversed(list(runs)):
            places = [place for place in run.stores if place and shown(_graph_path(place)) == path]
            if places:
                self.choose([run], places[-1])
                return
        raise LookupError(f"no private store of {path!r}")

    def content(self, runs: Sequence[ViewedRun], moment: int | None, at: Step | None, time_travel: TimeTravel) -> TabContent:
        """The rows of the store, and the stores that may be chosen instead where there are several.

        Parameters
        ----------
        runs : sequence of Run
            The runs in focus.
        moment : int or None
            Monotonic ns of the time cursor; None: now.
        at : (Run, Span) or None
            The step that was the last one then.
        time_travel : TimeTravel
            Reads the runs' events.
        """
        run = at[0] if at is not None else runs[0] if runs else None
        place = None
        if self._chosen is not None:
            chosen = next((one for one in runs if one.number == self._chosen[0] and self._chosen[1] in one.stores), None)
            if chosen is not None:
                run, place = chosen, self._chosen[1]
        if run is None or not hasattr(run.store, "keys"):
            return {"tab": "store", "rows": [], "note": "There is no store to look into."}
        here, store = store_of(run, "" if at is None else at[1].address) if place is None else (place, run.stores[place])
        with reading_replica(store):
            content = store_content(run, here, store, moment, time_travel)
        if len(run.stores) > 1:
            latest = [each for each in run.stores if each][-_OFFERED:]
            private = [[each, f"private: {clean(each, 120)}"] for each in latest]
            content["stores"] = [[FOLLOW, "of the step that is shown"], ["", f"of {clean(run.name, 80)}"], *private]
            content["place"] = FOLLOW if place is None else place
        return {**content, "tab": "store"}
