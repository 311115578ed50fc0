"""The card of a visit: what the detail drawer tells before a value is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NotRequired, TypedDict

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.user_traceback import last_user_line
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.notebook.run_data.visits import Visit, kept_visit, part_of, visits_of, why_not
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_messages import masked_lines
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.values.change_lines import change_lines, word_changes
from pocketflex_nb.views.values.value_preview import preview, type_label

__all__ = ["PARTS", "KeptPart", "VisitCard", "visit_card", "words_between"]

#: the values of a visit, as the page names them, with what they are called
PARTS = {"prep": "In (prep)", "exec": "Out (exec)"}
#: rows of a card at most, and characters of a line
_ROWS, _LINE = 120, 2_000
#: characters of texts that are compared word by word, from which length on, and pieces of that
_READ, _WORDY, _PIECES = 8_000, 40, 300
_NOTES = {
    "": "", "now": "as it is now; no copy of it was kept", "changed": "changed in place since; as it is now",
    "gone": "no longer kept; this was its type",
}



class KeptPart(TypedDict):
    """How a value of a visit stands: its type, a preview, a remark; `opens` when there is a value to look into."""

    part: str
    name: str
    kind: str
    text: str
    note: str
    opens: bool


class VisitCard(TypedDict):
    """What the drawer tells of a visit before a value is asked for."""

    run: int
    name: str
    node: str
    address: str
    visit: int
    of: int
    before: str
    after: str
    status: str
    seconds: float | None
    retries: int
    tokens: float
    cost: float
    parts: list[KeptPart]
    why: str
    action: str
    tries: list[list[str]]
    changes: list[list[Any]]
    unchanged: str
    said: list[list[str]]
    left: NotRequired[int]


def _parts(visit: Visit) -> tuple[list[KeptPart], str]:
    parts: list[KeptPart] = []
    for part, name in PARTS.items():
        value, how, _ = part_of(visit, part)
        if how == "none":
            continue
        kind = str(value) if how == "gone" and isinstance(value, str) else type_label(value)
        text = "" if how == "gone" else preview(value, 200)
        parts.append({"part": part, "name": name, "kind": clean(kind, 120), "text": text, "note": _NOTES[how], "opens": how != "gone"})
    return parts, "" if any(part["part"] == "prep" for part in parts) else why_not(visit)


def visit_card(visit: Visit, index: int, label: str, time_travel: TimeTravel) -> VisitCard:
    """What the drawer tells of a visit.

    Parameters
    ----------
    index : int
        Which of the view's runs it is of.
    label : str
        What the view calls that run.
    """
    all_visits = visits_of(visit.run, visit.node, time_travel)
    place = next((n for n, one in enumerate(all_visits) if one.address == visit.address), len(all_visits) - 1)
    state = visit.run.state()
    node = state.nodes.get(visit.node)
    total = max(len(all_visits), (node.visits + (visit.end is None) if node is not None else 0))
    inside = [event for event in time_travel.events_of(visit.run).read() if visit.holds(event.address)]
    parts, why = _parts(visit)
    said, left = _said(visit, inside)
    tries = _tries(visit, inside)
    usage = [event.data for event in inside if event.kind == "usage"]
    changes = [change for change in list(state.changes) if change["address"] == visit.address]
    card: VisitCard = {
        "run": index, "name": label, "node": clean(visit.node, 160), "address": visit.address,
        "visit": total - len(all_visits) + place + 1, "of": total,
        "before": all_visits[place - 1].address if place > 0 else "",
        "after": all_visits[place + 1].address if place + 1 < len(all_visits) else "",
        "status": _status(visit), "seconds": None if visit.end is None else round(float(visit.end.get("seconds", 0.0)), 3),
        "retries": sum(event.kind == "node_retried" and event.address == visit.address for event in inside),
        "tokens": sum(float(one.get("tokens") or 0) for one in usage), "cost": sum(float(one.get("cost") or 0) for one in usage),
        "parts": parts, "why": why, "action": _action(visit), "tries": tries, "changes": _changes(changes),
        "unchanged": "" if changes else _unchanged(visit), "said": said,
    }
    return {**card, "left": left} if left else card


def _status(visit: Visit) -> str:
    if visit.end is not None:
        return "done" if visit.end.kind == "node_finished" else "cancelled" if visit.end.get("status") == "cancelled" else "failed"
    node = visit.run.state().nodes.get(visit.node)
    return node.status if node is not None and node.status in ("asking", "waiting") else "running"


def _action(visit: Visit) -> str:
    """The action with which a visit ended, and where that led."""
    if visit.end is None or visit.end.kind != "node_finished":
        return "the error edge was taken" if visit.end is not None and visit.end.get("handled") else ""
    action = str(visit.end.get("action", "default"))
    goals = [edge.target for edge in visit.run.graph.edges if edge.source == visit.node and edge.action == action]
    return clean(f"{action} → {', '.join(str(goal) for goal in goals)}" if goals else action, 300)


def _tries(visit: Visit, inside: Iterable[Event]) -> list[list[str]]:
    """Number, error and the user's line of each try that failed, and how the last one went."""
    kept = kept_visit(visit)
    if kept is not None and kept.tries:
        rows = [[str(number + 1), clean(error, 600), clean(line, 400)] for number, error, line, _ in kept.tries]
    else:
        rows = [[str(int(event.get("attempt", 0)) + 1), clean(str(event.get("error", "")), 600), ""]
                for event in inside if event.kind == "node_retried"]
    if visit.end is not None and visit.end.kind == "node_failed":
        line = "" if kept is None or kept.error is None else last_user_line(kept.error.__traceback__)
        rows.append([str(len(rows) + 1), clean(str(visit.end.get("error", "")), 600), clean(line, 400)])
    elif rows:
        rows.append([str(len(rows) + 1), "going on" if visit.end is None else "ok", ""])
    return rows[-_ROWS:]


def _changes(changes: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """Sign, place, text, and the words that changed in a long text."""
    told: list[list[Any]] = []
    words = {change["key"]: pieces for change in changes if (pieces := words_between(change.get("old"), change.get("new")))}
    for line in change_lines(changes, limit=_ROWS):
        pieces = words.get(line.path[0], []) if len(line.path) == 1 and line.sign == "~" else []
        told.append([line.sign, clean(line.where), clean(line.text), pieces])
    return told


def words_between(old: object, new: object) -> list[list[str]]:
    """How a text became another, word by word: sign and piece; empty where they are no texts, or short ones."""
    old, new = (str(text) if type(text).__name__ == "FrozenText" else text for text in (old, new))
    if not isinstance(old, str) or not isinstance(new, str) or old == new or max(len(old), len(new)) < _WORDY:
        return []
    found = word_changes(clean(old, _READ), clean(new, _READ))  # masked first: a secret in pieces would not be known
    return [[sign, piece if sign != " " or len(piece) <= 160 else f"{piece[:70]} … {piece[-70:]}"] for sign, piece in found[:_PIECES]]


def _unchanged(visit: Visit) -> str:
    if visit.end is None:
        return "Nothing yet: changes are told when the visit ends."
    if not hasattr(visit.run.store, "diff"):
        return "A run over a plain dict keeps its steps, not its changes: launch it, or give it a Store, to see them."
    return "Nothing in the store."


def _said(visit: Visit, inside: Sequence[Event]) -> tuple[list[list[str]], int]:
    """What was printed, streamed, logged, said and called during a visit: kind, text; and how many rows before are left out."""
    rows: list[tuple[str, str, str]] = []
    for event in inside:
        if event.kind == "output":
            stream, text = str(event.get("stream", "print")), str(event.get("text", ""))
            if rows and rows[-1][0] == stream and (stream == "token" or (stream == "print" and not rows[-1][1].endswith("\n"))):
                rows[-1] = stream, rows[-1][1] + text, rows[-1][2]
            else:
                rows.append((stream, text, event.node))
        elif text := _told(event):
            rows.append((event.kind.replace("_", " "), text, event.node))
    latest = rows[-_ROWS:]
    texts = masked_lines(latest, 4 * _LINE)
    lines = ["\n".join(shown(line, _LINE) for line in text.rstrip("\n").split("\n")) for text in texts]
    told = [[kind, line] for (kind, _, _), line in zip(latest, lines, strict=True)]
    return [row for row in told if row[1].strip()], len(rows) - len(latest)


def _told(event: Event) -> str:
    """The words for what else happens during a visit; ``""`` for what the card tells elsewhere."""
    data = event.data
    if event.kind == "message":
        return f"{data.get('role', 'message')}: {data.get('text', '')}"
    if event.kind == "tool":
        asked = ", ".join(f"{k}={preview(v, 80, key=k)}" for k, v in dict(data.get("arguments") or {}).items())
        gave = f"✗ {data['error']}" if data.get("error") else preview(data.get("result"), 200)
        return f"{data.get('name', 'tool')}({asked}) → {gave}"
    if event.kind in ("asked", "answered"):
        return str(data.get("question") or preview(data.get("value"), 200))
    if event.kind in ("conflict", "abandoned", "unknown_action", "overdue", "pool_full", "summary"):
        return str(data.get("text", ""))
    if event.kind == "item_failed":
        return f"item {data.get('index')}: {data.get('error')}"
    return ""
