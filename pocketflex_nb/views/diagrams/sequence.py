"""Messages of agents as a sequence diagram, in Mermaid text and in SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pocketflex_nb.core.events import Event
from pocketflex_nb.views.diagrams.palette import FAMILY, INK, PALETTE, style
from pocketflex_nb.views.text.redaction import redacted_head
from pocketflex_nb.views.text.safe_text import attribute, shown, xml
from pocketflex_nb.views.text.text_metrics import cut_to_width, number, width

__all__ = ["MOST_STEPS", "SequenceStep", "sequence", "sequence_svg", "steps_of"]

#: rows of one diagram
MOST_STEPS = 300
_MESSAGES = {"call": "->>", "reply": "-->>", "cast": "-)", "info": "-)", "down": "--x"}
#: the arrows of a task's start and end
_TASKS = {"start": "-)", "exit": "-->>"}
_LIVES = {
    "start": "starts", "exit": "ends", "restart": "restarts", "giveup": "gives up", "zombie": "does not stop",
    "lag": "holds the loop", "flood": "is flooded:", "unhandled": "does not know",
}


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """One row: a message from `source` to `target`, or, with `target` ``""``, something that happened to `source`."""

    seq: int
    ns: int
    kind: str
    source: str
    target: str
    text: str
    seconds: float = 0.0


def steps_of(events: Iterable[Event], *, agents: Iterable[str] | None = None, kinds: Iterable[str] | None = None) -> list[SequenceStep]:
    """The rows of `events`, those of agents only; filtered by participants and kinds where they are given."""
    wanted = None if agents is None else set(agents)
    chosen = None if kinds is None else set(kinds)
    found = []
    for event in events:
        if event.kind not in _MESSAGES and event.kind not in _LIVES:
            continue
        step = _step(event)
        if (chosen is None or step.kind in chosen) and (wanted is None or step.source in wanted or step.target in wanted):
            found.append(step)
    return found


def _step(event: Event) -> SequenceStep:
    data = event.data
    seconds = data.get("seconds") or 0.0
    here = str(event.address or data.get("id") or event.run or "?")
    if event.kind in _MESSAGES:
        source, target = str(data.get("from") or "outside"), str((data["to"] or "outside") if "to" in data else here)
        text = f"reason {data.get('reason')}" if event.kind == "down" else str(data.get("what", ""))
        if data.get("error"):
            text = f"{text} failed: {data['error']}".strip()
        return SequenceStep(event.seq, event.ns, event.kind, source, target, _said(text), float(seconds))
    if data.get("owner") is not None and event.kind in ("start", "exit"):
        return _task_step(event, here)
    text = _LIVES[event.kind]
    detail = data.get("error") or data.get("reason") or data.get("what") or data.get("handler") or ""
    if event.kind == "flood":
        detail = f"{data.get('waiting')} messages wait"
    if event.kind == "lag":
        detail = f"{seconds:.2f} s {data.get('where') or detail}"
    text = text if event.kind == "start" else f"{text} {detail}"
    return SequenceStep(event.seq, event.ns, event.kind, here, "", _said(text), float(seconds))


def _task_step(event: Event, here: str) -> SequenceStep:
    """A task's start and end are messages between it and its owner: the work, and the value."""
    data, owner = event.data, str(event.data["owner"] or "outside")
    if event.kind == "start":
        return SequenceStep(event.seq, event.ns, "start", owner, here, _said(f"spawn {data.get('cls', '')}"))
    text = f"value {data['value']}" if "value" in data else f"ends {data.get('error') or data.get('reason') or ''}"
    return SequenceStep(event.seq, event.ns, "exit", here, owner, _said(text))


def _said(text: str) -> str:
    return shown(redacted_head(text, 400), 160).strip()


def _capped(steps: list[SequenceStep], limit: int) -> tuple[list[SequenceStep], int]:
    return steps[:limit], max(len(steps) - limit, 0)


def _participants(steps: list[SequenceStep]) -> list[str]:
    return list(dict.fromkeys(name for s in steps for name in (s.source, s.target) if name))


def sequence(events: Iterable[Event], *, limit: int = MOST_STEPS, **filters: Iterable[str] | None) -> str:
    """Events of agents as Mermaid ``sequenceDiagram`` text.

    Parameters
    ----------
    events : iterable of Event
        Kinds that are not the agents' are passed over.
    limit : int
        Rows at most; a note tells how many more there are.
    **filters
        ``agents``, ``kinds``: as for `steps_of`.
    """
    steps, more = _capped(steps_of(events, **filters), limit)
    names = {name: f"p{n}" for n, name in enumerate(_participants(steps))}
    lines = ["sequenceDiagram", *(f"    participant {short} as {_escaped(name)}" for name, short in names.items())]
    for s in steps:
        if s.target:
            took = f" ({s.seconds:.3g} s)" if s.kind == "reply" and s.seconds else ""
            lines.append(f"    {names[s.source]}{(_MESSAGES | _TASKS)[s.kind]}{names[s.target]}: {_escaped(s.text or s.kind)}{took}")
        else:
            lines.append(f"    Note over {names[s.source]}: {_escaped(s.text)}")
    if more:
        over = ",".join(dict.fromkeys([*names.values()][:1] + [*names.values()][-1:]))
        lines.append(f"    Note over {over}: {more} more")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text without line ends and statement ends of a sequence diagram."""
    safe = "".join(f"#{ord(ch)};" if ch in "#;<>\"`%{}\\" else ch for ch in shown(text, 200))
    return safe.strip() or "#8203;"


_DASHES = {
    "reply": ' stroke-dasharray="5 4"', "down": ' stroke-dasharray="5 4"', "exit": ' stroke-dasharray="5 4"',
    "info": ' stroke-dasharray="1.5 4" stroke-linecap="round"',
}
_COLUMN, _ROW, _TOP, _SIDE = 150.0, 30.0, 54.0, 24.0


def sequence_svg(events: Iterable[Event], *, limit: int = MOST_STEPS, **filters: Iterable[str] | None) -> str:
    """Events of agents as an SVG document; parameters as for `sequence`."""
    steps, more = _capped(steps_of(events, **filters), limit)
    names = _participants(steps)
    x = {name: _SIDE + _COLUMN * (n + 0.5) for n, name in enumerate(names)}
    w = max(2 * _SIDE + _COLUMN * len(names), 200.0)
    h = _TOP + _ROW * len(steps) + (40 if more else 16)
    grey = INK["light"]["edge"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pf-svg pf-sequence" width="{number(math.ceil(w))}" '
        f'height="{number(math.ceil(h))}" viewBox="0 0 {number(math.ceil(w))} {number(math.ceil(h))}" role="img" '
        f'aria-label="Sequence of {len(steps)} messages between {len(names)} agents" font-family="{FAMILY}" font-size="11">',
        f"<style>{style()}</style>",
    ]
    for name in names:
        parts.append(
            f'<path d="M{number(x[name])},40V{number(h - 8)}" stroke="{grey}" stroke-opacity="0.5" stroke-dasharray="3 4"/>'
            + _head(name, x[name])
        )
    for n, s in enumerate(steps):
        parts.append((_message if s.target else _life)(s, x, _TOP + _ROW * n + 14))
    if more:
        parts.append(_chip(f"{more} more", w / 2, h - 14, 120, f"{more} more rows"))
    return "\n".join([*parts, "</svg>"])


def _head(name: str, x: float) -> str:
    text = cut_to_width(shown(name, 200), _COLUMN - 28, 12)
    w = width(text, 12) + 20
    idle = PALETTE["light"]["idle"]
    return (
        f'<g class="pf-node" data-state="idle" data-node="{attribute(name)}"><title>{xml(name)}</title><rect class="pf-shape" '
        f'x="{number(x - w / 2)}" y="10" width="{number(w)}" height="28" rx="8" fill="{idle.fill}" stroke="{idle.line}"/>'
        f'<text class="pf-label" x="{number(x)}" y="28" font-size="12" text-anchor="middle" fill="{INK["light"]["ink"]}">'
        f"{xml(text)}</text></g>"
    )


def _chip(text: str, x: float, y: float, room: float, whole: str) -> str:
    text = cut_to_width(text, room, 10)
    w = width(text, 10) + 12
    title = f"<title>{xml(whole)}</title>"
    return (
        f'<g class="pf-chip">{title}<rect x="{number(x - w / 2)}" y="{number(y - 10)}" width="{number(w)}" height="15" rx="7" '
        f'fill="{INK["light"]["chip"]}"/><text x="{number(x)}" y="{number(y + 1)}" font-size="10" text-anchor="middle" '
        f'fill="{INK["light"]["chip-ink"]}">{xml(text)}</text></g>'
    )


def _message(s: SequenceStep, x: dict[str, float], y: float) -> str:
    a, b = x[s.source], x[s.target]
    text = s.text or s.kind
    said = f"{s.source} {s.kind} {s.target}: {text}" + (f" ({s.seconds:.3g} s)" if s.seconds else "")
    colour = INK["light"]["error" if s.kind == "down" else "taken" if s.kind in ("call", "reply") else "edge"]
    if s.source == s.target:
        d, tip, way = f"M{number(a)},{number(y - 4)}h26v12h-20", (a + 1, y + 8), -1
        chip = _chip(text, a + 30 + min(width(text, 10), _COLUMN - 60) / 2 + 8, y + 4, _COLUMN - 60, said)
    else:
        way = 1 if b > a else -1
        d, tip = f"M{number(a)},{number(y + 4)}H{number(b - 7 * way)}", (b - way, y + 4)
        chip = _chip(text, (a + b) / 2, y - 4, abs(b - a) - 24, said)
    back = number(tip[0] - 8 * way)
    head = f"{number(tip[0])},{number(tip[1])} {back},{number(tip[1] - 4)} {back},{number(tip[1] + 4)}"
    names = "pf-edge" + (" pf-error" if s.kind == "down" else " pf-taken" if s.kind in ("call", "reply") else "")
    return (
        f'<g class="{names}" data-seq="{s.seq}" data-kind="{s.kind}"><path d="{d}" fill="none" stroke="{colour}" '
        f'stroke-width="1.5"{_DASHES.get(s.kind, "")}/><polygon class="pf-head" points="{head}" fill="{colour}"/></g>{chip}'
    )


_STATES = {
    "start": "running", "exit": "cancelled", "restart": "asking", "giveup": "failed", "zombie": "failed", "lag": "waiting",
    "flood": "waiting", "unhandled": "asking",
}


def _life(s: SequenceStep, x: dict[str, float], y: float) -> str:
    status = _STATES.get(s.kind, "idle")
    if s.kind == "exit" and not any(s.text.endswith(word) for word in ("normal", "shutdown")):
        status = "failed"
    colours = PALETTE["light"][status]
    text = cut_to_width(s.text, _COLUMN - 20, 10)
    w = width(text, 10) + 14
    return (
        f'<g class="pf-node" data-state="{status}" data-seq="{s.seq}" data-kind="{s.kind}">'
        f'<title>{xml(f"{s.source} {s.text}")}</title><rect class="pf-shape" '
        f'x="{number(x[s.source] - w / 2)}" y="{number(y - 7)}" width="{number(w)}" height="17" rx="5" '
        f'fill="{colours.fill}" stroke="{colours.line}"/><text class="pf-caption" x="{number(x[s.source])}" y="{number(y + 5)}" '
        f'font-size="10" text-anchor="middle" fill="{colours.strong}">{xml(text)}</text></g>'
    )
