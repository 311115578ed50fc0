"""The conversations of the runs of one view: read as they grow, and at the time cursor's moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.views.conversation.conversation import Conversation, Present, has_messages

__all__ = ["Conversations", "has_conversation", "run_conversation"]


@dataclass(slots=True)
class _Read:
    """What was read of one run."""

    conversation: Conversation
    number: int = 0
    last: Event | None = None
    moment: int | None = field(default=None)


class Conversations:
    """The conversations of some runs.

    Parameters
    ----------
    time_travel : TimeTravel
        Reads the runs' events.
    """

    def __init__(self, time_travel: TimeTravel) -> None:
        self._time_travel = time_travel
        self._now: dict[int, _Read] = {}  # by number of the run
        self._then: dict[int, _Read] = {}

    def of(self, run: ViewedRun, moment: int | None = None) -> Conversation:
        """The conversation of `run` as it was at a moment (monotonic ns), or is.

        Parameters
        ----------
        run : Run
        moment : int or None
        """
        events = self._time_travel.events_of(run).until(moment)
        kept = self._now if moment is None else self._then
        known = kept.get(run.number)
        is_behind = known is not None and known.number <= len(events) and (not known.number or events[known.number - 1] is known.last)
        if known is None or not is_behind:  # an inner run's events were put between, or the moment is an earlier one
            known = kept[run.number] = _Read(Conversation(_present_of(run)))
        for event in events[known.number :]:
            known.conversation.add(event)
        known.number, known.last = len(events), events[-1] if events else None
        if moment is None and not isinstance(run.store, Store):
            known.conversation.read_store(run.store, run.name)
        return known.conversation


def run_conversation(run: ViewedRun) -> Conversation:
    """The whole conversation of one run.

    Parameters
    ----------
    run : Run
    """
    return Conversations(TimeTravel()).of(run)


def has_conversation(runs: Sequence[ViewedRun]) -> bool:
    """Whether any of the runs said a message, called a tool, or keeps messages in its store. Makes no event.

    Parameters
    ----------
    runs : sequence of Run
    """
    return any(_has(run) for run in runs)


def _has(run: ViewedRun) -> bool:
    state = run.state()
    return bool(state.messages or state.tool_calls) or any(map(has_messages, run.stores.values())) or has_messages(run.store)


def _present_of(run: ViewedRun) -> Present:
    def present(name: str, place: str, key: object) -> object:
        owner = next((child for child in getattr(run, "children", ()) if child.name == name), run)
        store = owner.stores.get(place, owner.store)
        return dict.get(store, key) if isinstance(store, dict) else None  # not asked itself, so that nothing counts as read

    return present
