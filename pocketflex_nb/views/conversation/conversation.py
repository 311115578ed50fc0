"""`Conversation`: the messages and calls of tools of one run, folded from its events as they come.

Messages come from ``emit("message", ...)`` and from the lists of messages that steps keep in their store; one that is told both ways
stands there once. Calls of tools stand below the message that asked for them. Text that a visit streams is a turn that grows until its
message takes its place.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.freezer import Freezer
from pocketflex_nb.core.frozen.frozen_tree import MISSING, FrozenDict, FrozenList, FrozenObject, leaves_of
from pocketflex_nb.core.value_text import stop_goes_on
from pocketflex_nb.views.conversation.message_shapes import AskedCall, CallResult, Spoken, is_conversation_key, read_message

__all__ = ["Conversation", "Present", "ToolCall", "Totals", "Turn", "conversation_of", "has_messages", "totals_of"]

#: characters of one streamed turn that are kept
_STREAMED = 200_000
#: pieces of a stream that are joined at a time
_PIECES = 256
#: keys of a store that are looked at, and of a dict in it
_LOOKED_AT, _SMALL = 200, 64
#: turns of the same text that are looked at to find one that was told already
_ALIKE = 64

#: the present value of a key of a store: run, address of the store, and key
Present = Callable[[str, str, object], object]


@dataclass(slots=True, eq=False)
class ToolCall:
    """One call of a tool.

    Attributes
    ----------
    status : str
        ``open``, ``done`` or ``failed``.
    result, error : object
        What it gave; `MISSING` and ``""`` until then.
    node : str
        Graph path of the node that told of its end.
    """

    name: str
    arguments: object = None
    id: str = ""
    status: str = "open"
    result: object = MISSING
    error: object = ""
    seconds: float | None = None
    node: str = ""


@dataclass(slots=True, eq=False)
class Turn:
    """One message, or calls of tools that no message asked for.

    Attributes
    ----------
    role : str
        ``system``, ``user``, ``assistant``, ``tool``, or the program's own word.
    author : str
        The name that it gave, if any.
    run, node, address : str
        Where it was said; ``""`` for what stood in the store before.
    ns : int
        Monotonic ns when it was told, or when its stream began.
    status : str
        ``""``; ``streaming`` while it grows; ``partial`` when it was cut off.
    number : int
        The same for as long as the conversation is read, and no other turn's.
    """

    role: str
    text: str = ""
    author: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    run: str = ""
    node: str = ""
    address: str = ""
    ns: int = 0
    seconds: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    tokens: float | None = None
    cost: float | None = None
    model: str = ""
    status: str = ""
    number: int = -1
    sources: set[object] = field(default_factory=set, repr=False)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of a conversation. Tokens and cost are those that its turns tell."""

    messages: int = 0
    calls: int = 0
    failed: int = 0
    input_tokens: float = 0
    output_tokens: float = 0
    tokens: float = 0
    cost: float = 0.0


class Conversation:
    """The conversation of one run; events are added in order.

    Parameters
    ----------
    present : callable, optional
        Gives the present value of a key of a store, where a list has grown too large for the store to compare.

    Attributes
    ----------
    turns : list of Turn
        In the order in which they were said.
    """

    def __init__(self, present: Present | None = None) -> None:
        self._turns: list[Turn] = []
        self._present = present
        self._streams: dict[str, tuple[Turn, list[str]]] = {}  # by address of a visit
        self._visits: dict[str, list[Turn]] = {}  # by address: what was said there in the visits under way
        self._unclaimed: dict[str, tuple[float, float, float, float]] = {}  # by address: usage that no message has taken yet
        self._alike: dict[tuple[object, ...], list[Turn]] = {}
        self._open: dict[tuple[str, str], deque[ToolCall]] = {}  # by run, and id or name of the tool
        self._made = 0
        self._begun = 0  # messages of the list that is being read that nobody had told
        self._known: set[object] = set()  # lists whose beginning was read
        self._lengths: dict[object, int] = {}  # items read of the lists that are too large to compare

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def turns(self) -> list[Turn]:
        """What was said so far, in order."""
        for turn, pieces in self._streams.values():
            _settle(turn, pieces)
        return self._turns

    def add(self, event: Event) -> None:
        """Fold one event in; kinds that are none of a conversation's are passed over.

        Parameters
        ----------
        event : Event
            The next one, in order of time.
        """
        fold = _FOLDS.get(event.kind)
        if fold is not None:
            fold(self, event)

    def totals(self) -> Totals:
        """The sums of all turns."""
        return totals_of(self._turns)

    def read_store(self, store: object, run: str) -> None:
        """Read the lists of messages of a store that tells no changes, as a plain dict: what is new in them comes behind.

        Parameters
        ----------
        store : object
            A dict; anything else is passed over.
        run : str
            Name of the run that it belongs to.
        """
        for place, value in _places(store):
            self._read_on(Event(0, 0, "store_changed", run), (run, "", *place), value)

    # messages ----------------------------------------------------------------------------------------------------------
    def _message(self, event: Event) -> None:
        self._begun = 0
        data = event.data
        record = {**data, "role": data.get("role") or "assistant", "content": data.get("text", data.get("content"))}
        for spoken in _read(record):
            turn = self._say(spoken, event, "emit")
            for name in ("seconds", "input_tokens", "output_tokens", "tokens", "cost"):
                if isinstance(amount := data.get(name), (int, float)):
                    setattr(turn, name, amount)
            turn.model = str(data.get("model") or "")
            turn.status = "partial" if data.get("partial") else ""
            self._claim(turn)

    def _say(self, spoken: Spoken, event: Event, source: object, *, is_before: bool = False) -> Turn:
        """The turn of a message: the one that told it already, the stream that it ends, or a new one."""
        key = (event.run, spoken.role, spoken.text, *((call.id, call.name) for call in spoken.calls), *(r.id for r in spoken.results))
        alike = self._alike.setdefault(key, [])
        turn = next((known for known in alike[-_ALIKE:] if _is_same(known, source, event.address)), None)
        if turn is None and not spoken.calls and not spoken.results:  # a list may keep the text of a reply without the calls in it
            said = self._visits.get(event.address, ())
            turn = next((known for known in said if known.calls and known.text == spoken.text and _is_same(known, source, "")), None)
        if turn is None:
            turn = self._begin(spoken, event, is_before=is_before)
            self._begun += 1
            alike.append(turn)
            for call in spoken.calls:
                self._ask(turn, call, event.run)
            for result in spoken.results:
                self._answer(turn, result, event)
            if not turn.text and not turn.calls and spoken.results:
                self._turns.remove(turn)  # its results stand below the message that asked for them
        turn.sources.add(source)
        if turn.input_tokens is None and turn.output_tokens is None:
            turn.input_tokens, turn.output_tokens = spoken.input_tokens, spoken.output_tokens
        return turn

    def _begin(self, spoken: Spoken, event: Event, *, is_before: bool) -> Turn:
        open_stream = self._streams.pop(event.address, None) if spoken.role == "assistant" and not is_before else None
        if open_stream is not None:
            turn = open_stream[0]
            if self._begun:  # a list tells what was asked behind what was streamed since
                self._turns.remove(turn)
                self._turns.append(turn)
            turn.seconds, turn.text, turn.author, turn.status = (event.ns - turn.ns) / 1e9, spoken.text, spoken.author, ""
            return turn
        turn = Turn(spoken.role, spoken.text, spoken.author, [], event.run, event.node, event.address, event.ns)
        if is_before:
            turn.node = turn.address = ""
        self._append(turn)
        if turn.role == "assistant" and turn.address:
            self._visits.setdefault(turn.address, []).append(turn)
        return turn

    def _append(self, turn: Turn) -> None:
        turn.number, self._made = self._made, self._made + 1
        self._turns.append(turn)

    # calls of tools ------------------------------------------------------------------------------------------------------
    def _ask(self, turn: Turn, asked: AskedCall, run: str) -> None:
        call = ToolCall(asked.name, asked.arguments, asked.id)
        turn.calls.append(call)
        for name in filter(None, (asked.id, f"name {asked.name}")):
            self._open.setdefault((run, name), deque()).append(call)

    def _asked(self, run: str, id_: str, name: str) -> ToolCall | None:
        """The call with that id, an open one if there is, or the oldest open one of that name."""
        waiting = self._open.get((run, id_ or f"name {name}"))
        if id_ and waiting:  # programs that number their calls anew begin with 1 again
            return next((call for call in reversed(waiting) if call.status == "open"), waiting[-1])
        while waiting and waiting[0].status != "open":
            waiting.popleft()
        return waiting[0] if waiting else None

    def _answer(self, turn: Turn, told: CallResult, event: Event) -> None:
        call = self._asked(event.run, told.id, told.name)
        if call is None and not told.id and (call := self._told_alone(event, told.name)) is not None:
            return
        if call is None:
            call = ToolCall(told.name or "tool", None, told.id)
            turn.calls.append(call)
            if told.id:
                self._open.setdefault((event.run, told.id), deque()).append(call)
        if call.status == "open":
            call.status, call.node = "failed" if told.failed else "done", event.node
            if told.failed:
                call.error = told.result
            else:
                call.result = told.result

    def _told_alone(self, event: Event, name: str) -> ToolCall | None:
        """A call of the same visit that an event told, and that no message asked for."""
        for turn in reversed(self._turns[-8:]):
            if turn.role == "tool" and turn.address == event.address:
                return next((call for call in turn.calls if call.name == name), None)
        return None

    def _tool(self, event: Event) -> None:
        data = event.data
        id_, name = str(data.get("id") or ""), str(data.get("name") or data.get("text") or "tool")
        call = self._asked(event.run, id_, name)
        if call is None:
            call = self._alone(event, ToolCall(name, None, id_))
        if data.get("arguments") is not None:
            call.arguments = _frozen(data["arguments"])
        if isinstance(seconds := data.get("seconds"), (int, float)):
            call.seconds = seconds
        call.node = event.node
        if data.get("error") is not None:
            call.status, call.error = "failed", data["error"]
        elif "result" in data:
            call.status, call.result = "done", _frozen(data["result"])

    def _alone(self, event: Event, call: ToolCall) -> ToolCall:
        """A call that no message asked for: in the last turn, where that is one of such calls of the same visit, else in one of its own."""
        last = self._turns[-1] if self._turns else None
        if last is None or last.role != "tool" or last.address != event.address:
            last = Turn("tool", run=event.run, node=event.node, address=event.address, ns=event.ns)
            self._append(last)
        last.calls.append(call)
        if call.id:
            self._open.setdefault((event.run, call.id), deque()).append(call)
        return call

    # streams and visits ----------------------------------------------------------------------------------------------------
    def _output(self, event: Event) -> None:
        if event.get("stream") != "token":
            return
        found = self._streams.get(event.address)
        if found is None:
            turn = Turn("assistant", "", "", [], event.run, event.node, event.address, event.ns, status="streaming")
            self._append(turn)
            self._visits.setdefault(event.address, []).append(turn)
            found = self._streams[event.address] = turn, []
        turn, pieces = found
        if len(turn.text) < _STREAMED:
            pieces.append(str(event.get("text", "")))
            if len(pieces) > _PIECES:
                _settle(turn, pieces)

    def _usage(self, event: Event) -> None:
        told = self._unclaimed.get(event.address, (0, 0, 0, 0.0))
        amounts = (event.get(name) or 0 for name in ("input_tokens", "output_tokens", "tokens", "cost"))
        self._unclaimed[event.address] = tuple(a + b for a, b in zip(told, amounts, strict=True))  # type: ignore[assignment]  # four
        for turn in reversed(self._visits.get(event.address, ())):
            if turn.status != "streaming" and self._claim(turn):
                return

    def _claim(self, turn: Turn) -> bool:
        """Give a turn that tells no usage of its own what its visit has told apart; False when it has its own."""
        if turn.role != "assistant" or any(n is not None for n in (turn.input_tokens, turn.output_tokens, turn.tokens, turn.cost)):
            return False
        told = self._unclaimed.pop(turn.address, None)
        if told is not None:
            turn.input_tokens, turn.output_tokens, turn.tokens, turn.cost = (amount or None for amount in told)
        return True

    def _retried(self, event: Event) -> None:
        self._cut(event.address, "partial")
        self._visits.pop(event.address, None)

    def _visited(self, event: Event) -> None:
        """A visit is over: its streams are complete, or were cut off; a single reply took as long as it did."""
        self._cut(event.address, "partial" if event.kind == "node_failed" else "")
        said = self._visits.pop(event.address, [])
        self._unclaimed.pop(event.address, None)
        if len(said) == 1 and said[0].seconds is None and event.get("seconds") is not None:
            said[0].seconds = event["seconds"]
        for inner in [key for key in self._visits if key.startswith(f"{event.address}[")]:
            del self._visits[inner]

    def _cut(self, address: str, status: str) -> None:
        for known in [known for known in self._streams if known == address or known.startswith((f"{address}[", f"{address}/"))]:
            turn, pieces = self._streams.pop(known)
            _settle(turn, pieces)
            turn.status = status

    def _ended(self, event: Event) -> None:
        status = "" if event.get("status") == "done" else "partial"
        for where in [where for where, (turn, _) in self._streams.items() if not event.depth or turn.run == event.run]:
            self._cut(where, status)

    # lists of messages in a store --------------------------------------------------------------------------------------------
    def _stored(self, event: Event) -> None:
        for change in event.get("changes", ()):
            for place, old, new in _lists(change):
                source = (event.run, event.get("store", ""), *place)
                if change["op"] == "maybe":
                    self._read_present(event, source, place)
                elif new is not MISSING:
                    self._compared(event, source, old, new)

    def _compared(self, event: Event, source: object, old: object, new: object) -> None:
        before, after = _behind_shared(old, new)
        if source not in self._known:
            self._known.add(source)
            self._told_before(event, source, old)
        self._lengths[source] = len(new) if isinstance(new, (FrozenList, tuple)) else 0
        self._begun = 0
        gone = Counter(key for item in before for key in map(_key, read_message(item)))
        for item in after:
            for spoken in read_message(item):
                if gone[_key(spoken)] > 0:  # stands elsewhere in the list now
                    gone[_key(spoken)] -= 1
                else:
                    self._claim(self._say(spoken, event, source))
        self._begun = 0

    def _told_before(self, event: Event, source: object, old: object) -> None:
        """What a list held when this run first wrote to it was said earlier: it stands in front."""
        here = self._turns
        self._turns = []
        for item in old if isinstance(old, (FrozenList, tuple)) else ():
            for spoken in read_message(item):
                self._say(spoken, event, source, is_before=True)
        self._turns += here

    def _read_present(self, event: Event, source: object, place: tuple[object, ...]) -> None:
        """The new end of a list that is too large for the store to compare, from its present value."""
        value: Any = None if self._present is None else self._present(event.run, event.get("store", ""), place[0])
        for part in place[1:]:
            value = value.get(part) if type(value) is dict else None
        self._read_on(event, source, value)

    def _read_on(self, event: Event, source: object, value: object) -> None:
        known = self._lengths.get(source, 0)
        new = list(value[known:]) if type(value) in (list, tuple) else []  # type: ignore[index]  # by its class
        self._begun = 0
        self._known.add(source)
        self._lengths[source] = known + len(new)
        for item in new:
            for spoken in read_message(_frozen(item)):
                self._say(spoken, event, source)


_FOLDS: dict[str, Callable[[Conversation, Event], None]] = {
    "message": Conversation._message, "tool": Conversation._tool, "output": Conversation._output, "usage": Conversation._usage,
    "node_retried": Conversation._retried, "node_finished": Conversation._visited, "node_failed": Conversation._visited,
    "run_finished": Conversation._ended, "child_finished": Conversation._ended, "store_changed": Conversation._stored,
}


def conversation_of(events: Iterable[Event], present: Present | None = None) -> Conversation:
    """The conversation that these events tell.

    Parameters
    ----------
    events : iterable of Event
        Of one run, in order.
    present : callable, optional
        See `Conversation`.

    Examples
    --------
    >>> from pocketflex_nb import emit, launch, linear, node
    >>> @node
    ... def answer(shared):
    ...     shared["messages"] = [{"role": "user", "content": "Tides?"}, ("assistant", "Twice a day.")]
    >>> [(turn.role, turn.text) for turn in conversation_of(launch(linear(answer)).wait(10).events).turns]
    [('user', 'Tides?'), ('assistant', 'Twice a day.')]
    """
    conversation = Conversation(present)
    for event in events:
        conversation.add(event)
    return conversation


def has_messages(store: object) -> bool:
    """Whether a store holds a list of messages under one of the usual keys.

    Parameters
    ----------
    store : object
        A dict, whose keys are looked at, and of each likely list its last item.
    """
    return any(type(value) in (list, tuple) and value and read_message(_frozen(value[-1])) for _, value in _places(store))


def _places(store: object) -> Iterator[tuple[tuple[object, ...], Any]]:
    """The values of a dict under the usual keys, and of the small dicts in it; a store is not asked, so that nothing counts as read."""
    if not isinstance(store, dict):
        return
    for key in list(islice(dict.keys(store), _LOOKED_AT)):
        value = dict.get(store, key)
        if is_conversation_key(key):
            yield (key,), value
        elif type(value) is dict and len(value) < _SMALL:
            yield from (((key, name), item) for name, item in list(value.items()) if is_conversation_key(name))


def totals_of(turns: Iterable[Turn]) -> Totals:
    """The sums of some turns.

    Parameters
    ----------
    turns : iterable of Turn
    """
    turns = list(turns)
    calls = [call for turn in turns for call in turn.calls]
    return Totals(
        sum(turn.role != "tool" for turn in turns), len(calls), sum(call.status == "failed" for call in calls),
        sum(turn.input_tokens or 0 for turn in turns), sum(turn.output_tokens or 0 for turn in turns),
        sum(_tokens(turn) for turn in turns), sum(turn.cost or 0.0 for turn in turns),
    )


def _settle(turn: Turn, pieces: list[str]) -> None:
    """Put the pieces of a stream that came since into its turn."""
    if pieces:
        turn.text += "".join(pieces)
        pieces.clear()


def _tokens(turn: Turn) -> float:
    return turn.tokens if turn.tokens is not None else (turn.input_tokens or 0) + (turn.output_tokens or 0)


def _is_same(turn: Turn, source: object, address: str) -> bool:
    """Whether a turn tells what `source` tells at `address`: two lists of one store may begin alike, an event and a list do not differ."""
    return source not in turn.sources and (source == "emit" or "emit" in turn.sources or (bool(address) and turn.address == address))


def _key(spoken: Spoken) -> tuple[object, ...]:
    return (spoken.role, spoken.text, tuple((call.id, call.name) for call in spoken.calls), tuple(r.id for r in spoken.results))


def _read(record: dict[str, object]) -> list[Spoken]:
    return read_message(_frozen(record))


def _frozen(value: object) -> object:
    try:
        return Freezer(4_000_000).freeze(value, MISSING)
    except BaseException as error:  # the user's containers are walked here, and may be huge
        stop_goes_on(error)
        return MISSING


def _lists(change: dict[str, Any]) -> list[tuple[tuple[object, ...], object, object]]:
    """The lists of messages that a change is about: its path, what it was and what it is. One level below a key is looked at."""
    key, old, new = change["key"], change["old"], change["new"]
    if is_conversation_key(key):
        return [((key,), old, new)]
    fields, before = (value.fields if isinstance(value, FrozenObject) else value for value in (new, old))
    if not isinstance(fields, FrozenDict):
        return []
    names = [name for name in fields if is_conversation_key(name)]
    olds = {name: before.get(name, MISSING) if isinstance(before, FrozenDict) else MISSING for name in names}
    return [((key, name), olds[name], fields[name]) for name in names if olds[name] is not fields[name]]


def _behind_shared(old: object, new: object) -> tuple[Sequence[object], Sequence[object]]:
    """The items of two versions of a list behind their shared beginning."""
    if isinstance(old, FrozenList) and isinstance(new, FrozenList):
        before, after = leaves_of(old.tree), leaves_of(new.tree)
        first = next((k for k, (a, b) in enumerate(zip(before, after, strict=False)) if a is not b), min(len(before), len(after)))
        olds, news = ([item for leaf in leaves[first:] for item in leaf] for leaves in (before, after))
    else:
        olds, news = (list(side) if isinstance(side, (FrozenList, tuple)) else [] for side in (old, new))
    same = next((k for k, (a, b) in enumerate(zip(olds, news, strict=False)) if a is not b), min(len(olds), len(news)))
    return olds[same:], news[same:]
