"""The kinds of events, and `Event`: what a record of the run's log becomes when it is read.

A run appends plain tuples; reading `run.events` gives `Event` objects. The kinds:

=================  ============================================================================================
kind               data
=================  ============================================================================================
run_started        flow, name, parent (name of the run that launched it, or None)
run_paused         –
run_resumed        –
run_finished       status ("done", "failed", "cancelled"), action, error (text or None)
node_started       – (only while somebody subscribes)
node_retried       attempt (0-based number of the attempt that failed), error
node_finished      action, start (monotonic ns), seconds, visit; branches (action -> number) where post returned a list
node_failed        error, start, seconds, visit
unknown_action     action, known
store_changed      changes: list of {key, version, op: "set" | "delete" | "maybe", old, new}; store: address of the private one
output             stream ("print", "token", "log"), text
forked             branches (path of a node -> number of branches that begin there), where `post` returned a list of actions
item_failed        index, error, path (of the node, "" for the event's own): a failure that is collected
usage              tokens (or input_tokens, output_tokens), cost
message            text, role, tool_calls, input_tokens, output_tokens, tokens, cost, seconds, model, partial: as far as given
tool               name, arguments, result or error, seconds, id: as far as given
progress           done, total
summary            text: one line of Markdown about what the step did
asked              question, choices, schema, ask (number)
answered           ask, value, by
child_started      flow, name, parent: a run that a step began, and that is a part of this one
child_paused       –
child_resumed      –
child_finished     status, action, error
conflict           key, writer, other, path (keys inside of the value, where only a part of it was overwritten)
abandoned          what (a thread that could not be stopped; its late writes are dropped)
pool_full          text (all threads are taken; this plain step waited for one)
overdue            limit (seconds), text (a step that its time limit could not cut off goes on)
=================  ============================================================================================

Any other kind is the user's own, as `emit` was given it, with its fields as data. The events of a run that a step began are in the log
of the outer run too, with `depth` 1, under the address of that step: ``report/survey#1/reader#1/search#1`` is the first visit of
``search`` in the first run of ``reader`` that ``survey`` began. Those of its whole run are called ``child_...`` there.

The agents' kinds (start, exit, restart, giveup, call, reply, cast, info, down, lag, zombie, unhandled) are listed in
:mod:`pocketflex_nb.agents`.

Addresses
---------
``report/research#2/search#1[3]`` is the path of (node id, visit) through nested flows, then ``[item]`` of a batch; a branch of a
fork appears as ``{head}``: ``report/plan#1{search}/rank#1``; ``~2`` at the end names the attempt after the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns, time_ns
from typing import Any

from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.core.value_text import cut_text, value_text

__all__ = ["EPOCH", "Event", "spent_in"]

#: what a short line leaves out: it stands there in another form
_SAID_ELSEWHERE = {"start", "seconds", "visit", "changes"}
#: characters of one fact, and of all, in a short line
_FACT, _FACTS = 60, 160
#: wall clock minus monotonic clock, both in ns, at import: turns the time of a record into UTC
EPOCH = time_ns() - perf_counter_ns()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    seq : int
        Number in its log, from 0, without gaps.
    ns : int
        Monotonic nanoseconds (`time.perf_counter_ns`) when the deed was finished.
    kind : str
        See the table of this module.
    run : str
        Name of the run, or of the supervisor or agent, that did it: the one whose log this is, or a run inside of it.
    address : str
        Where: the path through nested flows, or the agent's path in its supervision tree. ``""`` for the run itself.
    node : str
        The graph path of the node, without visits (``research/search``): the key of `State.nodes`. ``""`` if none.
    data : Mapping
        Facts of the kind.
    cause : int or None
        `seq` of the event that led to this one, where known.
    time : float
        Wall clock, seconds since the epoch (UTC).
    depth : int
        0 for what the run itself did, 1 for a run that one of its steps began, and so on.
    """

    seq: int
    ns: int
    kind: str
    run: str = ""
    address: str = ""
    node: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    cause: int | None = None
    time: float = 0.0
    depth: int = 0

    def __repr__(self) -> str:
        facts = self.facts()
        return f"<Event {self.seq} {self.kind} {self.address or self.run}{': ' if facts else ''}{facts}>"

    def facts(self) -> str:
        """Its facts in one short line; a store's changes by key, the duration with its unit.

        Returns
        -------
        str

        Examples
        --------
        >>> Event(3, 0, "node_finished", node="draft", data={"action": "ok", "start": 0, "seconds": 0.25, "visit": 1}).facts()
        "action='ok', 250 ms"
        """
        facts = {name: value for name, value in self.data.items() if name not in _SAID_ELSEWHERE and value is not None}
        told = [f"{name}={value_text(value, _FACT)}" for name, value in facts.items()]
        if "changes" in self.data:
            keys = [value_text(change["key"], _FACT) for change in self.data["changes"]]
            told.append(f"{count_text(len(keys), 'change')}: {', '.join(keys)}")
        if self.data.get("seconds") is not None:
            told.append(duration_text(self.data["seconds"]))
        return cut_text(", ".join(told), _FACTS)

    def __getitem__(self, name: str) -> Any:
        """The fact `name` of this event: ``event["action"]``."""
        return self.data[name]

    def get(self, name: str, default: object = None) -> Any:
        """The fact `name`, or `default`."""
        return self.data.get(name, default)


def spent_in(facts: Mapping[str, Any]) -> tuple[float, float]:
    """Tokens and cost that the facts of a ``usage`` or ``message`` tell; tokens in and out are added where the sum is not told.

    Parameters
    ----------
    facts : Mapping
        The data of the event.

    Returns
    -------
    tokens, cost : float

    Examples
    --------
    >>> spent_in({"input_tokens": 12, "output_tokens": 8, "cost": 0.5}), spent_in({"tokens": 7}), spent_in({"text": "hello"})
    ((20, 0.5), (7, 0.0), (0, 0.0))
    """
    tokens = facts.get("tokens")
    if tokens is None:
        tokens = (facts.get("input_tokens") or 0) + (facts.get("output_tokens") or 0)
    return tokens, facts.get("cost") or 0.0
