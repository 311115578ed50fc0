"""Lesson 06, supervision: the checks start agents and teams, crash them on purpose, and look which are running afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from pocketflex_nb.agents import Agent, AgentDown, AgentRef, CallTimeout, Supervisor, child, trace
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.lessons.exercise import CHECK_TIMEOUT, Checked, exercise, point, slip, trouble

#: what the old edition of the guest book holds
_OLD_GUESTS = ("Ada", "Guido", "Barbara")
#: seconds to wait for a restart that may never happen
_SOON = 2.0


@exercise(
    "06.1",
    "State that survives a restart",
    hints=(
        "`self.visitors` is lost with the doorman. The `book` is not: each new doorman gets the same one.",
        "In `init`, keep the book itself, `self.book = book`. In `handle_call`, count in the book; a store has `increment`.",
        "`return self.book.increment(___)` instead of the two lines with `self.visitors`; the dragon stays as it is.",
    ),
)
def _dragon_at_the_door(doorman: object) -> Checked:
    yield slip(not _is_agent_class(doorman), "`Doorman` has to be the class, as it was: an `Agent`.")
    book = Store({"visitors": 0})
    with _running(Supervisor([child(doorman, book, id="doorman")])) as door:
        first = [_answer(_successor(door, "doorman", None), visitor) for visitor in ("Ada", "Guido")]
        fell = [answer for answer in first if isinstance(answer, BaseException)]
        yield slip(fell, "" if not fell else f"{_why(fell[0])}.")
        yield point(
            first == [1, 2],
            "The doorman counts.",
            f"The first two visitors were told {first[0]!r} and {first[1]!r}, and not 1 and 2.",
        )
        old = door["doorman"]
        dragon = _answer(old, "dragon")
        yield slip(
            not isinstance(dragon, AgentDown),
            f"The dragon was told {dragon!r}: keep the line that raises. The doorman may crash; its count has to survive.",
        )
        new = _successor(door, "doorman", old)
        yield point(new is not None, "The dragon crashes the doorman, and a new one starts.", "No doorman is started after the crash.")
        kept = book["visitors"]  # what the new one has found, or made of it
        third = _answer(new, "Barbara")
    yield slip(
        third == 1 and book["visitors"] == 0, "The new doorman starts at 1: the count is in the agent, `self.visitors`, and not in the "
        "`book`."
    )
    yield slip(
        third == 1 and kept == 0, "The new doorman starts at 1: `init` runs at every start, and yours empties the book."
    )
    yield slip(third == 1, "The new doorman starts at 1: the old one wrote to the book, but the new one does not read it.")
    yield slip(third == 4, "The dragon was counted, too. It is not a visitor.")
    yield point(third == 3, "The new one continues the count.", f"The third visitor was told {third!r}, and not 3.")
    yield slip(
        book["visitors"] == 0,
        "The number is right, but it is not in the book under `\"visitors\"`: a count in the class or in a variable is shared by all "
        "doormen.",
    )
    yield from _killed(doorman)
    with _running(Supervisor([child(doorman, Store({"visitors": 0}), id="doorman")])) as other:
        elsewhere = _answer(other["doorman"], "Grace")
    yield point(
        elsewhere == 1,
        "Another doorman has another book.",
        f"Of another doorman, with another book, the first visitor was told {elsewhere!r}, and not 1.",
    )


def _killed(doorman: object) -> Checked:
    """A doorman that is killed runs no code of its own any more: what it writes in `terminate` is not written."""
    with _running(Supervisor([child(doorman, Store({"visitors": 0}), id="doorman")])) as door:
        old = door["doorman"]
        _answer(old, "Ada")
        old.exit("kill")
        second = _answer(_successor(door, "doorman", old), "Guido")
    yield point(
        second == 2,
        "So does one that follows a killed one.",
        f"After a doorman was killed, the second visitor was told {second!r}, and not 2: write each visitor to the book at once.",
    )


@exercise(
    "06.2",
    "Strategy and order",
    hints=(
        "Choose the strategy, and the order in the list: the reader depends on the shelf, and the guests depend on nobody.",
        "`rest_for_one` replaces the crashed child and those after it in the list. The guests must not be after anybody.",
        '`Supervisor([child(Domino, id=name) for name in (___, ___, ___)], strategy="rest_for_one")`, the guests first.',
    ),
)
def _plan(plan: object) -> Checked:
    yield slip(
        isinstance(plan, AgentRef),
        "That is the ref of a supervisor. `plan` has to be the supervisor itself, not started, `Supervisor([...])`.",
    )
    yield point(
        isinstance(plan, Supervisor), "A supervisor.", f"`plan` is a {type(plan).__name__}: make a `Supervisor([...], strategy=...)`."
    )
    with _running(plan) as team:
        names = {info.id for info in team.children()}
        yield point(
            names == {"shelf", "reader", "guests"},
            "The three are there.",
            f"Its children are {', '.join(sorted(map(str, names))) or 'none'}: they should be `shelf`, `reader` and `guests`.",
        )
        with_shelf = _replaced_with(team, "shelf")
        yield slip("guests" in with_shelf and len(with_shelf) == 3, _all_of_them(plan))
        yield slip("guests" in with_shelf, "When the shelf crashes, the guests are replaced: they are after it in the list.")
        yield point(
            with_shelf == {"shelf", "reader"},
            "With the shelf, the reader is replaced.",
            "When the shelf crashes, the reader has to be replaced, too, and it was not.",
        )
        with_reader = _replaced_with(team, "reader")
        yield slip("shelf" in with_reader, "When the reader crashes, the shelf is replaced, too.")
        yield point(
            with_reader == {"reader"},
            "When the reader crashes, only it is replaced.",
            "When the reader crashes, the guests are replaced, or the reader is not.",
        )
        with_guests = _replaced_with(team, "guests")
    yield point("guests" in with_guests, "No other crash replaces the guests.", "When the guests crash, they are not restarted.")


def _all_of_them(plan: Any) -> str:
    if plan.tree()["strategy"] == "one_for_all":
        return "When the shelf crashes, all are replaced, the guests as well: that is `one_for_all`."
    return "When the shelf crashes, all children after it are replaced, the guests as well: change the order of the list."


@exercise(
    "06.3",
    "Contain a failing child",
    hints=(
        "A supervisor that gives up stops all its children. So the dragon needs a supervisor of its own.",
        'A supervisor may be a child of another: `child(Supervisor, [...], id="wing")`, with the dragon in *its* list.',
        '`Supervisor([child(Domino, id="desk"), child(Supervisor, [___], id="wing")])`.',
    ),
)
def _dragon_in_the_house(house: object) -> Checked:
    yield point(isinstance(house, Supervisor), "A house.", f"`house` is a {type(house).__name__}: make a `Supervisor([...])`.")
    with _running(house) as whole:
        desk, dragon = _find(whole, "desk"), _find(whole, "dragon")
        yield point(desk and dragon, "It has a desk and a dragon.", f"In the house there is no `{'dragon' if desk else 'desk'}`.")
        with trace(whole) as seen:
            for _ in range(4):
                _push(whole, "dragon")
        gave_up = [event for event in seen.events if event.kind == "giveup"]
        is_open, same = whole.is_alive, _find(whole, "desk") is desk
        back = _find(whole, "dragon")
    yield slip(
        not is_open,
        "At the fourth crash of the dragon the house gives up, and the desk ends with it. Another supervisor should give up in its place.",
    )
    yield slip(
        not same,
        "The house is running, but the desk was replaced together with the dragon. They must not share a supervisor, nor "
        "a strategy that replaces both.",
    )
    yield slip(
        not gave_up and back,
        "No supervisor gives up: with so high a limit a broken child is restarted for ever, and no supervisor above is told. "
        "Keep the limit of 3 in 5 seconds, and give the dragon a supervisor of its own.",
    )
    yield point(
        back,
        "The dragon crashed four times and is running again.",
        "The dragon crashed and was not restarted: it has to be permanent, and so has its supervisor.",
    )
    yield point(gave_up, "Its own supervisor gave up, and was replaced.", "No supervisor gave up at the fourth crash.")
    yield point(same, "The desk was not affected.", "The desk was replaced.")


@exercise(
    "06.4",
    "Migrate the state",
    hints=(
        "`code_change(self, old_class)` is an ordinary method: `self` has the attributes of the old class, and the new methods.",
        'The string has `", "` between the names: `split` makes a list of it. Assign it to the attribute that `handle_call` uses.',
        '`def code_change(self, old_class): self.guests = self.guests.___(", ")`.',
    ),
)
def _new_page(book: Any) -> Checked:
    yield slip(not _is_agent_class(book), "`GuestBook` has to be the class, as it was: an `Agent`.")
    fresh: object = book.start_sync()
    try:
        alone = _answer(fresh, "Ada")
    finally:
        _end(fresh)
    yield point(alone == 1, "A new book counts from 1.", f"A new book, never upgraded, says {alone!r} to its first guest.")
    old: object = _OldGuestBook.start_sync()
    try:
        yield from _upgraded(old, book)
    finally:
        _end(old)


def _upgraded(ref: object, book: Any) -> Checked:
    refused = _upgrade(ref, book)
    yield slip(refused, "" if refused is None else f"{trouble(refused)}. The book still has its old class.")
    guests: Any = _state_of(ref).get("guests")
    yield slip(
        guests == ", ".join(_OLD_GUESTS),
        "After the upgrade `self.guests` is still a string where the new code needs a list, and crashes at the next guest: "
        "`code_change` has to convert it.",
    )
    yield slip(guests == [], "All three are lost: the book is empty after the upgrade.")
    letters = list(", ".join(_OLD_GUESTS))
    yield slip(guests == letters, "Every letter is a guest now: `list` splits a string into letters, `split` at the commas.")
    names = [str(name).strip() for name in guests] if isinstance(guests, list) else []
    yield slip(guests != names == list(_OLD_GUESTS), f'There are spaces in the names, {names and guests[1:2]}: split at `", "`.')
    yield slip(guests == [", ".join(_OLD_GUESTS)], "That is a list with one guest, the whole string: split it.")
    yield point(guests == list(_OLD_GUESTS), "Ada, Guido and Barbara are in it.", f"After the upgrade `guests` is {guests!r}.")
    answer = _answer(ref, "Grace")
    yield point(answer == 4, "Grace is the fourth, in the same book.", f"Grace was told {answer!r}, and is the fourth.")


class _OldGuestBook(Agent):
    """The older class: the guests in one string."""

    async def init(self) -> None:
        self.guests = ", ".join(_OLD_GUESTS)

    async def handle_call(self, message: object, caller: object) -> object:
        self.guests += f", {message}"
        return self.guests.count(",") + 1


def _is_agent_class(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Agent)


@contextmanager
def _running(team: Any) -> Iterator[Any]:
    """The team, alive, and ended afterwards."""
    if team.is_alive:
        team.stop_sync("shutdown", timeout=CHECK_TIMEOUT)
    team.start_sync()
    try:
        yield team
    finally:
        if team.is_alive:
            team.stop_sync("shutdown", timeout=CHECK_TIMEOUT)


def _end(ref: Any) -> None:
    if ref.is_alive:
        ref.stop_sync("shutdown", timeout=CHECK_TIMEOUT)


def _answer(ref: Any, message: object) -> object:
    """What an agent answers, or how it failed to."""
    if ref is None:
        return LookupError("nobody is there")
    try:
        return ref.call_sync(message, timeout=CHECK_TIMEOUT)
    except (AgentDown, CallTimeout) as exc:
        return exc


def _why(failed: BaseException) -> str:
    return trouble(failed.__cause__ or failed)


def _upgrade(ref: Any, cls: type) -> BaseException | None:
    """What `code_change` raised."""
    try:
        engine_thread.submit(ref.upgrade(cls)).result(CHECK_TIMEOUT)
    except Exception as exc:  # the reader's code may raise anything
        return exc
    return None


def _state_of(ref: Any) -> dict[str, object]:
    """The attributes of an agent, now."""
    return dict(ref.state())


def _wait(happened: Callable[[], object], seconds: float = CHECK_TIMEOUT) -> bool:
    """Whether it happens in that time; agents live on another thread, so this may look again and again."""
    deadline = monotonic() + seconds
    while not happened():
        if monotonic() > deadline:
            return False
        sleep(0.005)
    return True


def _successor(team: Any, id: str, old: object) -> object:
    """The next agent in that position after `old`; None when there is none."""
    _wait(lambda: not team.is_alive or _find(team, id) not in (None, old), _SOON)
    return _find(team, id) if team.is_alive else None


def _replaced_with(team: Any, id: str) -> set[str]:
    """Who is another, after `id` has fallen."""
    before = {info.id: info.ref for info in team.children()}
    if before[id] is None:
        return set()
    before[id].exit("kill")
    _wait(lambda: _find(team, id) not in (None, before[id]) and all(info.status == "running" for info in team.children()), _SOON)
    return {info.id for info in team.children() if info.ref is not None and info.ref is not before[info.id]}


def _push(team: Any, id: str) -> None:
    """Crash the child of that id, and wait for the next one."""
    old = _find(team, id)
    if old is not None:
        old.exit("kill")
        _wait(lambda: not team.is_alive or _find(team, id) not in (None, old), _SOON)


def _find(team: Any, id: str) -> Any:
    """The living child of that id, however deep it stands."""
    for info in team.children():
        if info.id == id:
            return info.ref
        if info.type == "supervisor" and info.ref is not None and (found := _find(info.ref, id)) is not None:
            return found
    return None
