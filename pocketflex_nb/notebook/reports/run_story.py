"""The story of one run as HTML: error, output, steps, store, conversation, messages and the runs inside, as much as fits into a room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, islice
from typing import TypeVar

from pocketflex_nb.core.state import Span, State
from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.notebook.reports.still_html import escaped, folded, fragment_size, image, preformatted, remark, status_word, table
from pocketflex_nb.notebook.run_data.conversations import Conversations, has_conversation
from pocketflex_nb.notebook.run_data.detail_tabs import store_rows, tab_content
from pocketflex_nb.notebook.run_data.error_card import ErrorCard, error_card
from pocketflex_nb.notebook.run_data.inner_runs import begun_at
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.notebook.run_data.run_labels import run_label
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.views.conversation.still import conversation_html
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.timeline import timeline
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.safe_messages import masked_lines
from pocketflex_nb.views.text.safe_text import inert

__all__ = ["StoryReader", "cut_runs", "last_lines", "run_story", "step_rows", "timeline_words"]

_Viewed = TypeVar("_Viewed", Run, ViewedRun)
#: keys of a store, bars of a timeline, steps of its table, runs inside a step that are told, and how deep
_KEYS, _BARS, _STEPS, _INSIDE, _DEEPEST = 50, 100, 50, 20, 3
#: characters of one output, and outputs before the last that are read since a secret may go through several
_LINE, _BEFORE = 4_000, 100
#: bytes below which a run has no timeline, and no tables; bytes that a row of a table takes at least
_PLAIN, _ROW = 1_500, 120
#: records of all runs that are looked through for messages: a million would take seconds
_RECORDS = 30_000


def last_lines(state: State, most: int) -> list[tuple[str, str]]:
    """The last outputs of a run, at most so many, as (node, text): masked, cut at their beginning.

    Parameters
    ----------
    state : State
    most : int
    """
    kept = list(islice(reversed(state.lines), most + _BEFORE))[::-1]
    texts = masked_lines([(stream, str(text), node) for _, stream, text, node in kept], _LINE)
    told = [(clean(node, 80), _shortened(text, len(str(raw)))) for (_, _, raw, node), text in zip(kept, texts, strict=True)]
    return told[-most:] if most else []


def _shortened(text: str, whole: int) -> str:
    return inert(f"… {text}" if whole > _LINE else text).rstrip("\n")


class StoryReader:
    """What the stories of one still form have in common: their runs' events, and the stores that were told already."""

    def __init__(self) -> None:
        self.time_travel = TimeTravel()
        self.conversations = Conversations(self.time_travel)
        self._records = _RECORDS
        self._read: dict[int, bool] = {}
        self._stores: dict[int, str] = {}

    def may_read(self, run: ViewedRun) -> bool:
        """Whether what was said in a run is looked for, since every record of it is read; asked twice, it says the same."""
        if run.number not in self._read:
            self._records -= len(engine_side(run).records)
            self._read[run.number] = self._records >= 0
        return self._read[run.number]

    def told_in(self, run: ViewedRun) -> str:
        """The run in whose story the store of this one was told; ``""``: it is told here."""
        known = self._stores.get(id(run.store), "")
        self._stores.setdefault(id(run.store), run_label(run))
        return known


def run_story(run: ViewedRun, room: int, *, is_open: bool, reader: StoryReader, deep: int = 0) -> str:
    """A run as a folded section of at most about `room` bytes; what does not fit is counted.

    Parameters
    ----------
    run : Run
    room : int
        Bytes. The error is told in any case, then store and messages, the timeline, and the latest output with what is left.
    is_open : bool
        Whether the section is open at first.
    reader : StoryReader
        Reads the runs of this still form.
    deep : int
        Runs around it.
    """
    state = run.state()
    facts = [status_word(run.status), count_text(state.steps, "step")]
    facts += [duration_text(run.seconds)] if run.done() else []
    facts += [count_text(state.tokens, "token")] if state.tokens else []
    title = f"<strong>{escaped(run_label(run))}</strong>: {', '.join(facts)}"
    parts = _Parts(room - fragment_size(title) - 200)
    parts.add(_error(error_card(run)) if run.status == "failed" and run.error is not None else "", parts.left)
    parts.add(_questions(state), parts.left)
    if room >= _PLAIN:
        tables = [parts.made(lambda share: _store(run, share, reader), room // 5)]
        tables.append(parts.made(lambda share: _conversation(run, share, reader), room // 4))
        tables.append(parts.made(lambda share: _messages(run, share, reader), room // 5))
        steps = parts.made(lambda share: _steps(run, state, share), room // 4)
        inside = parts.made(lambda share: _inside(run, share, reader, deep), room // 4) if deep < _DEEPEST else ""
    else:
        tables, steps, inside = [], "", ""
    said = _output(state, parts.left)
    body = "".join([*parts.drawn, said, steps, *tables, inside]) or remark("Nothing was said.")
    return folded(title, body, is_open=is_open, is_boxed=True)


class _Parts:
    """What a section holds, within a room of bytes."""

    def __init__(self, room: int) -> None:
        self.left = room
        self.drawn: list[str] = []

    def add(self, part: str, room: int) -> None:
        """Take a part up where it fits into `room`."""
        if part and fragment_size(part) <= room:
            self.drawn.append(part)
            self.left -= fragment_size(part)

    def made(self, make: Callable[[int], str], share: int) -> str:
        """A part that is made for its share of the room; it stands elsewhere."""
        made = make(min(share, self.left))
        size = fragment_size(made) if made else 0
        if size > self.left:
            return ""
        self.left -= size
        return made


def _error(error: ErrorCard) -> str:
    where = f" in {escaped(error['node'])}" if error["node"] else ""
    cause = remark(f"because of {error['cause']}") if error["cause"] else ""
    values = [f"{name} = {text}" for name, _, text in error["inputs"]]
    said = f'<p><strong class="pf-is-failed">{escaped(error["type"])}</strong>{where}: {escaped(error["text"])}</p>'
    return f"{said}{cause}{preformatted(chr(10).join([*error['trace'], *values]))}"


def _questions(state: State) -> str:
    asked = [clean(str(event["question"]), 400) for event in islice(state.asking.values(), 5)]
    return "".join(f'<p><strong class="pf-is-asking">asks</strong>: {escaped(text)}</p>' for text in asked)


def _output(state: State, room: int) -> str:
    """The latest output, each node's lines together, as many as fit; how many earlier ones there were stands above."""
    lines = last_lines(state, len(state.lines))
    kept: list[tuple[str, str]] = []
    left = room - 200
    for node, text in reversed(lines):
        left -= fragment_size(escaped(text)) + _line_cost(node, kept)
        if left < 0:
            break
        kept.append((node, text))
    cut = state.said - len(kept)
    note = remark(f"{count_text(cut, 'earlier line')} not kept here") if cut > 0 else ""
    groups = [(node, [text for _, text in said]) for node, said in groupby(reversed(kept), key=lambda pair: pair[0])]
    who = '<p class="pf-who"><strong>{}</strong></p>'
    return note + "".join(who.format(escaped(node)) + preformatted("\n".join(texts)) for node, texts in groups)


def _line_cost(node: str, kept: Sequence[tuple[str, str]]) -> int:
    """What stands around a line: a line break, or the name of another node and a block of its own."""
    return 16 if kept and kept[-1][0] == node else 140 + fragment_size(escaped(node))


def _steps(run: ViewedRun, state: State, room: int) -> str:
    """The timeline as an image, and its latest steps as a table."""
    if not state.spans:
        return ""
    picture = image(timeline({run_label(run): state}, limit=_BARS, colours=colour_numbers([run.graph])), timeline_words(state))
    drawn = picture if fragment_size(picture) <= room - 800 else ""
    rows = step_rows(state, _STEPS)
    steps = table(("step", "action", "time", "began at"), rows, room - fragment_size(drawn), more=max(state.steps - len(rows), 0))
    return folded("timeline", drawn + steps)


def step_rows(state: State, most: int) -> list[list[str]]:
    """The latest steps: node, action or how it ended, duration, and when it began after the run's begin."""
    spans = list(state.spans)[-most:]
    zero = state.started or min((span.start for span in spans), default=0)
    return [
        [clean(span.node, 120), _ending(span), duration_text((span.end - span.start) / 1e9), duration_text(max(span.start - zero, 0) / 1e9)]
        for span in spans
    ]


def _ending(span: Span) -> str:
    return "failed" if span.failed else "cancelled" if span.cancelled else clean(str(span.action or "default"), 80)


def timeline_words(state: State) -> str:
    """What the timeline's image shows, in words."""
    rows = step_rows(state, 12)
    told = "; ".join(f"{node} {action} after {took}" for node, action, took, _ in rows)
    return f"Timeline of {count_text(state.steps, 'step')}{', the last' if state.steps > len(rows) else ''}: {told}"


def _store(run: ViewedRun, room: int, reader: StoryReader) -> str:
    if not hasattr(run.store, "keys"):
        return ""
    if told_in := reader.told_in(run):
        return remark(f"On the store of {told_in}, which is told there.")
    rows = store_rows(run, min(_KEYS, room // _ROW))
    return folded("store", table(("type", "key", "value", "written by"), rows, room, more=max(len(run.store) - len(rows), 0)))


def _conversation(run: ViewedRun, room: int, reader: StoryReader) -> str:
    """What was said to models and by them, as much of its end as fits."""
    if not has_conversation([run]) or not reader.may_read(run):
        return ""
    turns = reader.conversations.of(run).turns
    for room_in_characters in (room - 300, room // 2, room // 4):
        told = folded("conversation", conversation_html(turns, room=room_in_characters))
        if fragment_size(told) <= room:
            return told
    return ""


def _messages(run: ViewedRun, room: int, reader: StoryReader) -> str:
    if not reader.may_read(run):
        return ""
    rows = tab_content("messages", [run], None, None, reader.time_travel)["rows"]
    return folded("messages", table(("time, s", "event", "where", "what"), rows[:_KEYS], room, more=max(len(rows) - _KEYS, 0)))


def _inside(run: ViewedRun, room: int, reader: StoryReader, deep: int) -> str:
    """The runs that its steps began, by node."""
    children = run.children if isinstance(run, Run) else []
    if not children:
        return ""
    told = cut_runs(children, _INSIDE)
    share = max((room - 200) // len(told), 0)
    drawn, left = "", room - 200
    number = 0
    for node, runs in groupby(sorted(told, key=begun_at), key=begun_at):
        stories = [run_story(child, share, is_open=False, reader=reader, deep=deep + 1) for child in runs]
        part = f"<p>begun by <strong>{escaped(clean(node, 120))}</strong></p>{''.join(stories)}"
        left -= fragment_size(part)
        if left < 0:
            break
        drawn, number = drawn + part, number + len(stories)
    note = remark(f"{count_text(len(children) - number, 'more run')} not told here") if number < len(children) else ""
    return folded(f"{count_text(len(children), 'run')} inside", drawn + note)


def cut_runs(runs: Sequence[_Viewed], most: int) -> list[_Viewed]:
    """So many runs, in their order: those that failed or wait for an answer before the others."""
    if len(runs) <= most:
        return list(runs)
    order = sorted(range(len(runs)), key=lambda number: runs[number].status not in ("failed", "asking"))
    return [runs[number] for number in sorted(order[:most])]
