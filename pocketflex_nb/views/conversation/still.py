"""A conversation as Markdown and as HTML without a script, for saved notebooks and exported pages."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from pocketflex_nb.core.units import count_text, duration_text
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
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.summary_text import summary_text

__all__ = ["conversation_html", "conversation_markdown"]

#: characters of one message, and of one value of a call, in these forms
_MESSAGE, _VALUE = 4_000, 1_500
#: marks that Markdown would read
_MARKS = frozenset("\\`*_|<>[]#!~&")
_SOFT = "opacity:.75;font-size:90%"
_SAID = "white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0"
_SIDES = {
    "user": "margin:8px 0 8px 12%;padding:4px 10px;border-right:3px solid rgba(128,128,128,.6)",
    "assistant": "margin:8px 12% 8px 0;padding:4px 10px;border-left:3px solid rgba(76,127,217,.9)",
}
_OTHER_SIDE = "margin:8px 0;padding:4px 10px;border-left:3px dotted rgba(128,128,128,.6)"


def conversation_markdown(turns: Iterable[Turn], *, room: int = 20_000) -> str:
    """A conversation as Markdown; what was said is shown as it stands, not rendered.

    Parameters
    ----------
    turns : iterable of Turn
        As `Conversation.turns` gives them.
    room : int
        Characters at most; the oldest messages are left out and counted.

    Returns
    -------
    str
        ``""`` where nothing was said.

    Examples
    --------
    >>> from pocketflex_nb.views.conversation.conversation import ToolCall, Turn
    >>> asked = Turn("assistant", "I look.", calls=[ToolCall("search", {"query": "tides"}, status="done", result=["a", "b"])])
    >>> print(conversation_markdown([Turn("user", "Tides?"), asked]))
    2 messages, 1 tool call
    <BLANKLINE>
    **user**
    <BLANKLINE>
    > Tides?
    <BLANKLINE>
    **agent**
    <BLANKLINE>
    > I look.
    <BLANKLINE>
    - search(query='tides') → list 2
    """
    return _told(list(turns), room, _markdown_turn, "\n\n", lambda text: f"*{text}*" if text.startswith("The ") else _escaped(text))


def conversation_html(turns: Iterable[Turn], *, room: int = 60_000, longest: int = _MESSAGE) -> str:
    """A conversation as HTML that needs no script and no style sheet; system prompts and calls of tools are folded.

    Parameters
    ----------
    turns : iterable of Turn
        As `Conversation.turns` gives them.
    room : int
        Characters at most; the oldest messages are left out and counted.
    longest : int
        Characters of one message, and of a value of a call.

    Returns
    -------
    str
        ``""`` where nothing was said.

    Examples
    --------
    >>> from pocketflex_nb.views.conversation.conversation import Turn
    >>> "&lt;b&gt;" in conversation_html([Turn("user", "<b>Tides?</b>")])
    True
    """
    return _told(list(turns), room, partial(_html_turn, longest=longest), "", lambda text: f"<p><em>{html.escape(text)}</em></p>")


def _told(turns: Sequence[Turn], room: int, draw: Callable[[Turn], str], joint: str, say: Callable[[str], str]) -> str:
    """The newest turns that fit, below the sums of all and the number of those left out."""
    if not turns:
        return ""
    head = say(totals_text(totals_of(turns)))
    left, parts = room - len(head) - 120, []
    for turn in reversed(turns):
        drawn = draw(turn)
        left -= len(drawn) + len(joint)
        if left < 0:
            break
        parts.append(drawn)
    cut = len(turns) - len(parts)
    note = [say(f"The oldest {count_text(cut, 'message')} {'is' if cut == 1 else 'are'} left out here.")] if cut else []
    return joint.join([head, *note, *reversed(parts)])


def _facts(turn: Turn) -> str:
    state = {"partial": "cut off", "streaming": "streaming"}.get(turn.status, "")
    told = [place_of(turn), *spent_text(turn), state]
    return " · ".join(filter(None, told))


def _outcome(call: ToolCall) -> str:
    took = f", {duration_text(call.seconds)}" if call.seconds is not None else ""
    return f"→ {'✗ ' if call.status == 'failed' else ''}{call_outcome(call)}{took}"


# Markdown ----------------------------------------------------------------------------------------------------------------
def _markdown_turn(turn: Turn) -> str:
    facts = _facts(turn)
    parts = [f"**{_escaped(role_word(turn))}**{f' · {_escaped(facts)}' if facts else ''}"]
    if turn.text.strip():
        lines = _said(turn.text).split("\n")
        parts.append("\n".join(f"> {_escaped(line)}\\" if line.strip() and after.strip() else f"> {_escaped(line)}".rstrip()
                               for line, after in zip(lines, [*lines[1:], ""], strict=True)))
    if turn.calls:
        parts.append("\n".join(f"- {_escaped(call_head(call))} {_escaped(_outcome(call))}" for call in turn.calls))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    return "".join(f"\\{ch}" if ch in _MARKS and not (ch == "_" and text.isidentifier()) else ch for ch in text.replace("\n", " "))


def _said(text: str, longest: int = _MESSAGE) -> str:
    """A message's text, bounded, with its length when it is cut."""
    told = clean(text.strip("\n"), longest)
    return told if len(text) <= longest else f"{told}…\n({len(text):,} characters)"


# HTML --------------------------------------------------------------------------------------------------------------------
def _html_turn(turn: Turn, longest: int) -> str:
    facts = _facts(turn)
    head = f"<strong>{html.escape(role_word(turn))}</strong>"
    head += f' <span style="{_SOFT}">{html.escape(facts)}</span>' if facts else ""
    said = f'<div style="{_SAID}">{html.escape(_said(turn.text, longest))}</div>' if turn.text.strip() else ""
    calls = "".join(_html_call(call, longest) for call in turn.calls)
    if turn.role == "system":
        brief = html.escape(summary_text(turn.text, 80))
        return f'<details style="{_OTHER_SIDE}"><summary>{head} <span style="{_SOFT}">{brief}</span></summary>{said}{calls}</details>'
    return f'<div style="{_SIDES.get(turn.role, _OTHER_SIDE)}">{head}{said}{calls}</div>'


def _html_call(call: ToolCall, longest: int) -> str:
    head = f"<code>{html.escape(call_head(call))}</code> {html.escape(_outcome(call))}"
    most = _VALUE if longest == _MESSAGE else longest
    pages = [(name, _page(page, most)) for name, page in (("arguments", arguments_page(call)), (_gave(call), result_page(call))) if page]
    if not pages:
        return f"<div>{head}</div>"
    body = "".join(f'<div style="{_SOFT}">{name}</div><pre style="{_SAID}">{html.escape(page)}</pre>' for name, page in pages)
    return f"<details><summary>{head}</summary>{body}</details>"


def _gave(call: ToolCall) -> str:
    return "error" if call.status == "failed" else "result"


def _page(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…\n({len(text):,} characters)"
