"""The lines of a run's lane: what its steps print and log, and their tokens, those of one visit joined to one text."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pocketflex_nb.core.events import Event

__all__ = ["LINES", "TOKENS", "add_output", "end_tokens"]

#: lines kept per run; older ones are counted, not kept
LINES = 500
#: characters to which tokens that follow each other are joined; what follows then is a line of its own
TOKENS = 10_000


class _Lane(Protocol):
    """The lane as the `State` of a run keeps it; see there."""

    lines: deque[tuple[int, str, str, str]]
    origins: deque[tuple[str, int]]
    streams: dict[str, int]
    said: int


def add_output(lane: _Lane, event: Event) -> None:
    """Add what an ``output`` event says: a line of its own, or more of the text that the tokens of its visit make."""
    stream, text = event.get("stream", "print"), str(event.get("text", ""))
    if stream == "token":
        place = lane.streams.get(event.address, -1) - lane.said + len(lane.lines)
        if place >= 0:
            _, _, known, node = lane.lines[place]
            if len(known) < TOKENS:
                lane.lines[place] = (event.ns, "token", known + text, node)
                return
        lane.streams[event.address] = lane.said
        if len(lane.streams) > LINES:  # visits that are over, and whose lines are gone
            lane.streams = {address: line for address, line in lane.streams.items() if line > lane.said - LINES}
    else:
        end_tokens(lane, event.address)
    lane.lines.append((event.ns, stream, text, event.node))
    lane.origins.append((event.address, event.ns))
    lane.said += 1


def end_tokens(lane: _Lane, address: str) -> None:
    """End the text of the visit at `address`: its next token begins a line."""
    lane.streams.pop(address, None)
