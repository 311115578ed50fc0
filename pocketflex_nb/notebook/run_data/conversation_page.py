"""The conversation tab as the page draws it: one part of a filtered conversation, bounded, with what was opened in full."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from pocketflex_nb.core.units import duration_text
from pocketflex_nb.notebook.run_data.conversations import Conversations
from pocketflex_nb.notebook.run_data.playback import ViewedRun
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.views.conversation.conversation import ToolCall, Turn, totals_of
from pocketflex_nb.views.conversation.turn_text import (
    arguments_page,
    call_head,
    call_outcome,
    place_of,
    result_page,
    role_word,
    spent_text,
    totals_text,
)
from pocketflex_nb.views.text.markdown_tree import MarkdownNode, markdown_tree
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_messages import masked_tail
from pocketflex_nb.views.text.safe_text import shown

__all__ = ["PART", "CallRow", "ConversationPage", "ConversationPart", "TurnRow"]

#: turns that are sent at a time, and by how many the part moves on
PART, _STRIDE = 100, 50
#: characters of one turn, of a folded one, and of all turns of a part
_TEXT, _FOLDED, _ROOM = 2_000, 160, 40_000
#: characters of a text in full; opened texts together, and how many of them
_FULL, _OPENED, _MOST = 20_000, 50_000, 20
#: nodes and agents to choose from; characters by which a stream's beginning is let go
_CHOICES, _LET_GO = 60, 1_000
#: what makes a text one of Markdown: emphasis, code, headings, lists, quotations, tables, links, more than one paragraph
_MARKS = re.compile(r"[*_`|\]]|^\s*(?:#|>|[-+]\s|\d+[.)]\s)|\n\s*\n", re.MULTILINE)
#: times as many characters as its text that a tree takes
_TREE = 3
_SIDES = frozenset({"user", "assistant", "system"})

#: of one call: head, outcome, status, seconds as text
CallRow = list[str]


class TurnRow(TypedDict):
    """One turn: `key` names it; `size` is the number of its characters where `text` is cut; of a folded one `text` is a line.

    `tree` is the text as Markdown, where it has marks of it; `visit` the place of its run in the view, and its address.
    """

    key: str
    side: str
    role: str
    where: str
    text: str
    facts: str
    state: NotRequired[str]
    size: NotRequired[int]
    run: NotRequired[str]
    calls: NotRequired[list[CallRow]]
    tree: NotRequired[list[MarkdownNode]]
    visit: NotRequired[list[object]]


class ConversationPart(TypedDict):
    """A part of the turns that pass the filter: `first` is the place of the first of `rows`, `of` how many there are."""

    rows: list[TurnRow]
    first: int
    of: int
    totals: str
    scope: str
    scopes: list[list[str]]
    opened: dict[str, list[MarkdownNode]]
    is_newest: bool


class ConversationPage:
    """The conversation of the runs in focus, as one view looks at it.

    Parameters
    ----------
    time_travel : TimeTravel
        Reads the runs' events.
    """

    def __init__(self, time_travel: TimeTravel) -> None:
        self._conversations = Conversations(time_travel)
        self._scope = "all"
        self._first: int | None = None  # place of the part; None: the newest
        self._opened: dict[str, None] = {}
        self._places: dict[int, int] = {}  # by number of the run
        self._rows: dict[tuple[int, int], tuple[object, TurnRow]] = {}

    def ask(self, request: Mapping[str, object]) -> None:
        """Do what the page asks: another filter or part, or something in full.

        Parameters
        ----------
        request : Mapping
            ``scope``, ``first`` (None: the newest part), or ``open`` with the key of a turn, or of a call in it.
        """
        if "scope" in request:
            self._scope, self._first = str(request["scope"]), None
        if "first" in request:
            first = request["first"]
            self._first = max(int(first), 0) if isinstance(first, (int, float)) else None
        if "open" in request:
            key = str(request["open"])[:80]
            if key in self._opened:
                del self._opened[key]
            else:
                self._opened[key] = None
            for old in list(self._opened)[:-_MOST]:
                del self._opened[old]

    def part(
        self, runs: Sequence[ViewedRun], moment: int | None, names: Sequence[str], places: Sequence[int] = ()
    ) -> ConversationPart:
        """The part that is looked at.

        Parameters
        ----------
        runs : sequence of Run
        moment : int or None
            Monotonic ns of the time cursor; None: now.
        names : sequence of str
            What the runs are called.
        places : sequence of int
            Their places in the view, so that a turn can tell of its visit.
        """
        self._places = {run.number: place for run, place in zip(runs, places, strict=False)}
        told = _together([(run.number, name, self._conversations.of(run, moment).turns) for run, name in zip(runs, names, strict=True)])
        scopes = _scopes_of(told, dict(zip((run.name for run in runs), names, strict=True)))
        if self._scope not in (value for value, _ in scopes):
            self._scope = "all"
        kept = [each for each in told if _passes(each[2], self._scope)]
        last = max((len(kept) - 1) // _STRIDE * _STRIDE - _STRIDE, 0)
        first = last if self._first is None else min(self._first, last)
        seen = kept[first : first + PART]
        rows = self._bounded(seen, is_several=len(runs) > 1, keeps_end=self._first is None)
        first += len(seen) - len(rows) if self._first is None else 0
        return {
            "rows": rows, "first": first, "of": len(kept), "totals": totals_text(totals_of(turn for _, _, turn in kept)),
            "scope": self._scope, "scopes": scopes if len(scopes) > 2 else [], "opened": self._in_full(seen),
            "is_newest": first + len(rows) >= len(kept),
        }

    def _bounded(self, seen: Sequence[tuple[int, str, Turn]], *, is_several: bool, keeps_end: bool) -> list[TurnRow]:
        room = _ROOM
        rows: list[TurnRow] = []
        for number, name, turn in reversed(seen) if keeps_end else seen:
            row = self._row(number, name if is_several else "", turn)
            room -= len(row["text"]) * (_TREE if "tree" in row else 1) + 60
            if room < 0 and rows:
                break
            rows.append(row)
        return rows[::-1] if keeps_end else rows

    def _row(self, number: int, name: str, turn: Turn) -> TurnRow:
        """One turn; what did not change since is the same object."""
        state = (
            turn.role, len(turn.text), turn.status, turn.seconds, turn.tokens, turn.input_tokens, turn.output_tokens, turn.cost, name,
            *((call.status, call.seconds) for call in turn.calls),
        )
        known = self._rows.get((number, turn.number))
        if known is not None and known[0] == state:
            return known[1]
        row = _row_of(f"{number}.{turn.number}", name, turn)
        if turn.address and number in self._places and clean(turn.address, _FULL) == turn.address:  # nothing in it is hidden
            row["visit"] = [self._places[number], turn.address]
        self._rows[number, turn.number] = state, row
        if len(self._rows) > 4 * PART:
            for old in list(self._rows)[:PART]:
                del self._rows[old]
        return row

    def _in_full(self, seen: Sequence[tuple[int, str, Turn]]) -> dict[str, list[MarkdownNode]]:
        """What was opened, by key: the text of a turn, and its tree if it is Markdown; arguments, and result or error, of a call."""
        found: dict[str, list[MarkdownNode]] = {}
        room = _OPENED
        turns = {f"{number}.{turn.number}": turn for number, _, turn in seen}
        for key in reversed(self._opened):
            owner, _, place = key.partition(":")
            turn = turns.get(owner)
            if turn is None or (place and not (place.isdigit() and int(place) < len(turn.calls))):
                continue
            pages = _pages_of(turn.calls[int(place)]) if place else [_full_text(turn.text)]
            tree = [] if place else _tree_of(turn, pages[0])
            room -= sum(map(len, pages)) * (_TREE if tree else 1)
            if room < 0 and found:
                break
            found[key] = [*pages, tree] if tree else [*pages]
        return found


def _together(talks: Sequence[tuple[int, str, list[Turn]]]) -> list[tuple[int, str, Turn]]:
    """The turns of several runs in order of time, those of each in their own order."""
    if len(talks) == 1:
        number, name, turns = talks[0]
        return [(number, name, turn) for turn in turns]
    timed = []
    for number, name, turns in talks:
        latest = 0
        for turn in turns:
            latest = max(latest, turn.ns)
            timed.append((latest, number, name, turn))
    timed.sort(key=lambda each: each[0])
    return [(number, name, turn) for _, number, name, turn in timed]


def _scopes_of(told: Sequence[tuple[int, str, Turn]], names: Mapping[str, str]) -> list[list[str]]:
    """The filters: all, each node that speaks, each agent where there are several."""
    nodes = dict.fromkeys(turn.node for _, _, turn in told if turn.node)
    agents = dict.fromkeys(turn.run for _, _, turn in told if turn.run)
    scopes = [["all", "whole run" if len(names) == 1 else "all runs"]]
    scopes += [[f"node:{node}", f"node {clean(node, 60)}"] for node in list(nodes)[:_CHOICES]]
    if len(agents) > 1:
        scopes += [[f"agent:{agent}", f"agent {names.get(agent) or clean(agent, 60)}"] for agent in list(agents)[:_CHOICES]]
    return scopes


def _passes(turn: Turn, scope: str) -> bool:
    kind, _, name = scope.partition(":")
    if kind == "node":
        return turn.node == name or any(call.node == name for call in turn.calls)
    return kind != "agent" or turn.run == name


def _row_of(key: str, name: str, turn: Turn) -> TurnRow:
    side = turn.role if turn.role in _SIDES else "other"
    row: TurnRow = {
        "key": key, "side": side, "role": role_word(turn), "where": place_of(turn), "text": _text_of(turn, side),
        "facts": " · ".join(spent_text(turn)),
    }
    if turn.status:
        row["state"] = turn.status
    if len(turn.text) > (_FOLDED if side == "system" else _TEXT) or (side == "system" and "\n" in turn.text.strip()):
        row["size"] = len(turn.text)
    elif tree := _tree_of(turn, row["text"]):
        row["tree"] = tree
    if name:
        row["run"] = name
    if turn.calls:
        row["calls"] = [_call_row(call) for call in turn.calls]
    return row


def _tree_of(turn: Turn, text: str) -> list[MarkdownNode]:
    """A complete message of an agent as Markdown; nothing where it has no mark of it."""
    is_told = turn.role == "assistant" and not turn.status and _MARKS.search(text)
    return markdown_tree(text) if is_told else []


def _text_of(turn: Turn, side: str) -> str:
    """The text, cut; of a stream its end, so that what is new is in sight."""
    text = turn.text.strip("\n")
    if side == "system":
        return clean(text, _FOLDED).replace("\n", " ")
    over = len(text) - _TEXT
    if turn.status == "streaming" and over > 0:
        left = len(text) - (over // _LET_GO + 1) * _LET_GO
        return "\n".join(shown(line, _TEXT) for line in masked_tail(text, left).split("\n"))
    return clean(text, _TEXT)


def _call_row(call: ToolCall) -> CallRow:
    return [call_head(call), call_outcome(call), call.status, duration_text(call.seconds) if call.seconds is not None else ""]


def _full_text(text: str) -> str:
    told = clean(text, _FULL)
    return told if len(text) <= _FULL else f"{told}…\n({len(text):,} characters)"


def _pages_of(call: ToolCall) -> list[str]:
    return [arguments_page(call), result_page(call)]
