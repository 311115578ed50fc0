"""`emit`: tokens, usage, progress and logs of a running step, and capture of what it writes by `logging`."""

from __future__ import annotations

import logging
import sys
import threading

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.value_text import value_text

__all__ = ["capture_logging", "emit", "is_logging"]

_KINDS = ("token", "usage", "progress", "log", "summary", "message", "tool")
#: those that a name may be a misspelling of
_LIKELY = ("token", "usage", "progress", "message")
#: kinds that the engine tells, besides those that begin with ``run_``, ``node_`` or ``child_``
_ENGINES = frozenset({
    "abandoned", "answered", "asked", "conflict", "forked", "item_failed", "output", "overdue", "pool_full", "store_changed",
    "unknown_action",
})
#: what a reply spent
_AMOUNTS = ("tokens", "input_tokens", "output_tokens", "cost")
#: kinds of users' own that were looked at already, and how many of them are remembered
_known: set[str] = set()
_MOST = 1_000


def emit(kind: str, text: object = None, **fields: object) -> None:
    """Report progress, output or facts of the running step to the run's views and log. Does nothing outside of a run.

    Parameters
    ----------
    kind : str
        ``token``: a piece of streamed text. ``usage``: ``tokens=`` (or ``input_tokens=``, ``output_tokens=``), ``cost=``, counted against
        the run's budget. ``progress``: ``done=``, ``total=``. ``log``: a line. ``summary``: one line of Markdown, shown on the node and in
        ``%pf runs``. ``message`` and ``tool``: a conversation, see Notes. Any other name or prefixed name (``"score"``, ``"shop.order"``)
        is a kind of your own: an event with `text` and the fields as its data.
    text : str, optional
        For tokens, logs, summaries and messages, and for kinds of your own.
    **fields
        See `kind`; more are kept with the event.

    Raises
    ------
    TypeError
        For tokens or a cost that are no number.
    ValueError
        For a kind that the engine itself tells (``node_finished``), and for one that looks like ``token``, ``usage``, ``progress`` or
        ``log`` misspelt: with a prefix (``my.tokens``) it is one of your own.

    Notes
    -----
    ``emit("message", text, role=...)`` tells one message of a conversation, once, when it is complete:

    - ``role``: ``"system"``, ``"user"``, ``"assistant"`` (the default where it is shown) or ``"tool"``;
    - ``tool_calls``: a list of ``{"id": ..., "name": ..., "arguments": {...}}``; what OpenAI's client gives fits too;
    - ``input_tokens``, ``output_tokens`` (or their sum, ``tokens``) and ``cost``: what this reply spent. They count against the budget
      as those of ``usage`` do, so tell each amount once, here or there;
    - ``seconds``: how long the reply took; ``model``: who gave it; ``partial=True``: it was cut off, and is no answer.

    ``emit("tool", name=..., arguments=..., result=...)`` tells one call of a tool when it is over, with ``error=`` (an exception or a text)
    in place of ``result`` when it failed, ``seconds``, and the ``id`` of the message's ``tool_calls`` that asked for it; without an `id`
    it answers the oldest open call of that name.

    Tokens that a visit streams become the text of the next ``assistant`` message of the same visit: the message takes their place in views.
    Each field is kept with the event as it was given; views and tables mask secrets in it.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, emit, launch, replay
    >>> class Think(Node):
    ...     def exec(self, prep_res):
    ...         emit("usage", tokens=120, cost=0.002)
    ...         emit("progress", done=1, total=4)
    ...         emit("score", value=0.8)
    >>> run = launch(Flow(Think())).wait(10)
    >>> state = replay(run.events)
    >>> state.tokens, state.done, state.total
    (120, 1, 4)
    >>> [event["value"] for event in run.events if event.kind == "score"]
    [0.8]

    A conversation:

    >>> class Answer(Node):
    ...     def exec(self, prep_res):
    ...         emit("message", "What changed?", role="user")
    ...         call = {"id": "1", "name": "search", "arguments": {"query": "changes"}}
    ...         emit("message", role="assistant", tool_calls=[call], input_tokens=12, output_tokens=8)
    ...         emit("tool", id="1", name="search", arguments={"query": "changes"}, result=["TaskGroup"], seconds=0.2)
    ...         emit("token", "Task")
    ...         emit("token", "Group.")
    ...         emit("message", "TaskGroup.", role="assistant", input_tokens=31, output_tokens=2, cost=0.001)
    >>> run = launch(Flow(Answer())).wait(10)
    >>> [message["role"] for message in run.messages], run.usage.tokens
    (['user', 'assistant', 'assistant'], 53)
    """
    if kind not in _KINDS and kind not in _known:
        _check_own(kind)
    frame = CURRENT_FRAME.get()
    if frame is None or frame.fenced:
        return
    if kind in ("token", "log"):
        frame.tell("output", {"stream": kind, "text": "" if text is None else str(text), **fields})
        return
    if text is not None:
        fields["text"] = str(text)
    if kind in ("usage", "message"):
        _check_amounts(kind, fields)
    frame.tell(kind, fields)
    if kind in ("usage", "message"):
        from pocketflex_nb.core.events import spent_in

        tokens, cost = spent_in(fields)
        if tokens or cost:
            frame.lifecycle.ensure_controller().limits.spend({"tokens": tokens, "cost": cost}, frame)


def _check_amounts(kind: str, fields: dict[str, object]) -> None:
    """Refuse amounts that cannot be summed; numbers of other classes become floats."""
    for name in _AMOUNTS:
        amount = fields.get(name)
        if amount is None or isinstance(amount, (int, float)):
            continue
        try:
            fields[name] = float(amount)  # type: ignore[arg-type]  # whatever it was given; what is no number is refused
        except (TypeError, ValueError):
            raise TypeError(f"emit({kind!r}, {name}={value_text(amount, 40)}): {name} is a number") from None


def _check_own(kind: str) -> None:
    """Refuse an invalid kind of event; remember a valid one."""
    if not isinstance(kind, str):
        raise TypeError(f"emit({kind!r}): the kind is a text, such as 'token' or 'shop.order'")
    if kind in _ENGINES or kind.startswith(("run_", "node_", "child_")):
        raise ValueError(f"emit({kind!r}): the engine tells this kind itself; give yours a prefix: 'my.{kind}'")
    if not kind or not _is_own(kind):
        near = nearest(kind, _KINDS)
        raise ValueError(f"emit({kind!r}): no such kind{near}; a kind of your own has another name, or a prefix: 'my.{kind}'")
    if len(_known) < _MOST:
        _known.add(kind)


def _is_own(kind: str) -> bool:
    """Whether a name differs enough from the known kinds, or has a prefix."""
    if any(mark in kind for mark in ".:/"):
        return True
    from difflib import get_close_matches  # once for each kind

    name = kind.lower().strip()
    return name not in _KINDS and name.removesuffix("s") not in _KINDS and not get_close_matches(name, _LIKELY, n=1, cutoff=0.86)


_heard = False
_here = threading.local()
_HANDLE = logging.Logger.callHandlers.__code__
#: frames between a handler that is called and what it prints, at most
_DEEP = 100


def capture_logging() -> None:
    """Copy each `logging` record made in a launched run to its lane from now on.

    Notes
    -----
    Through the record factory: a handler on the root logger would keep the user's own `logging.basicConfig` from working.
    """
    global _heard
    if _heard:
        return
    _heard = True
    make = logging.getLogRecordFactory()

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        frame = CURRENT_FRAME.get()
        if frame is not None and not frame.fenced and frame.lifecycle.lane_run is not None:
            frame.note("output", stream="log", text=_line(record), level=record.levelname, logger=record.name)
            _here.has_noted = True
        return record

    logging.setLogRecordFactory(factory)


def is_logging() -> bool:
    """Whether the calling code prints as a `logging` handler for a record that is a line of the lane already."""
    if not getattr(_here, "has_noted", False):
        return False
    caller = sys._getframe(1)
    for _ in range(_DEEP):
        if caller.f_code is _HANDLE:
            return True
        if caller.f_back is None:
            break
        caller = caller.f_back
    _here.has_noted = False  # its handlers have all been called: what is printed until the next record needs no look
    return False


def _line(record: logging.LogRecord) -> str:
    try:
        return f"{record.levelname} {record.name}: {record.getMessage()}"
    except Exception:  # a format that does not fit its arguments: logging reports it itself
        return f"{record.levelname} {record.name}: {record.msg!r}"
