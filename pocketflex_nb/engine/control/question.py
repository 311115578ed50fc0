"""The open questions of one run, each answered once, and the wait for the next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic, perf_counter_ns
from types import FrameType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.concurrency.interruptible import wait_awake, wait_in_slices
from pocketflex_nb.core.context import CURRENT_CELL
from pocketflex_nb.core.value_text import value_text

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = ["Question", "Questions", "next_question", "next_question_async", "would_await"]

_GONE = "has its answer, or nobody waits for one any more"
_ASYNC = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE


class Question:
    """One question of a run.

    Attributes
    ----------
    number : int
        From 1, in the order of asking: what ``run.answer(value, question=number)`` takes.
    text : str
        What is asked.
    choices : tuple or None
        What may be answered.
    schema : mapping, type or None
        Field name to type, for a form: ``{"name": str, "age": int}``; or one type.
    run : str
        Name of the run that asks; a run inside of another is answered at either.
    node : str
        Graph path of the node that asks.
    timeout : float or None
        Seconds that the asking step waits at most.
    since : int
        Monotonic ns at which it was asked.
    """

    def __init__(
        self, text: str, choices: tuple[object, ...] | None, schema: Mapping[str, object] | object, *, run: str = "", node: str = "",
        timeout: float | None = None, ends: Callable[[object, str], object] = lambda value, by: None,
    ) -> None:
        self.number, self.since, self.timeout = 0, perf_counter_ns(), timeout
        self.seen: Any = None  # what holds the run around, and this question there
        self.text, self.choices, self.schema, self.run, self.node = text, choices, schema, run, node
        self.value: object = None
        self.ended = Future[None]()  # done when nobody can answer any more: what the asking step waits for
        self._ends, self._lock, self._is_over = ends, threading.Lock(), False

    def numbered(self, number: int) -> Question:
        """This question under its number in another run: answered there, it is answered here."""
        seen = _Seen(self)
        seen.number = number
        return seen

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return not self._is_over

    def fit(self, value: object) -> object:
        """`value` converted to an answer; ValueError when it does not fit."""
        from pocketflex_nb.engine.control import answer_conversion as answers  # a run that asks nothing needs none

        if self.choices is not None:
            value = answers.chosen(value, self.choices, self.text)
        return value if self.schema is None else answers.fitted(value, self.schema)

    def answer(self, value: object) -> None:
        """Give the answer.

        Parameters
        ----------
        value : object
            One of the choices, or what fits the schema.

        Raises
        ------
        LookupError
            It has its answer, or nobody waits for one any more.
        ValueError
            The value is no answer; the question stays open.
        """
        value = self.fit(value)
        if not self.end(value, "person"):
            raise LookupError(f"question {self.number} of run {self.run!r} {_GONE}")

    def end(self, value: object, by: str) -> bool:
        """Settle it with `value`; False when it is settled already."""
        with self._lock:
            if self._is_over:
                return False
            self._is_over, self.value = True, value
        try:
            self._ends(value, by)
        finally:
            self.wake()
        return True

    def wake(self) -> None:
        """Make the asking step check."""
        try:
            self.ended.set_result(None)
        except InvalidStateError:
            pass

    def __repr__(self) -> str:
        choices = "" if self.choices is None else f", choices {', '.join(value_text(choice, 40) for choice in list(self.choices)[:8])}"
        return f"<Question {self.number} {value_text(self.text, 120)} of {self.run!r}{choices}{'' if self.is_open else ', over'}>"


class _Seen(Question):
    """A question of an inner run, as the outer run numbers it."""

    def __init__(self, inner: Question) -> None:
        super().__init__(inner.text, inner.choices, inner.schema, run=inner.run, node=inner.node, timeout=inner.timeout)
        self._inner = inner

    @property
    def is_open(self) -> bool:
        return self._inner.is_open

    def end(self, value: object, by: str) -> bool:
        return self._inner.end(value, by)


class Questions:
    """The questions of one run: the open ones by number, and the waiters for the next."""

    def __init__(self, run: Lifecycle[Frame]) -> None:
        self.run = run
        self.open: dict[int, Question] = {}
        self.inner: dict[tuple[int, int], int] = {}  # (number of a run inside, number there) to the number here
        self._count, self._last = count(1), 0
        self._hearers: list[Callable[[], object]] = []

    def add(self, question: Question) -> Question:
        """Number and open `question`; one that had a number in an earlier process keeps it."""
        question.number = question.number or next(self._count)
        self._last = max(self._last, question.number)
        self.open[question.number] = question
        self.tell()
        return question

    def count_from(self, number: int) -> None:
        """Numbers up to this one belong to questions of an earlier process."""
        self._count, self._last = count(number + 1), number

    def tell(self) -> None:
        """Wake the waiters: a question was opened, or the run is over."""
        for fn in list(self._hearers):
            fn()

    def drop(self, question: Question) -> None:
        """Remove `question`, which is settled."""
        self.open.pop(question.number, None)

    def hear(self, fn: Callable[[], object]) -> Callable[[], None]:
        """Call `fn` when a question is opened and when the run is over; returns a function that ends this."""
        self._hearers.append(fn)

        def stop() -> None:
            if fn in self._hearers:
                self._hearers.remove(fn)

        return stop

    def oldest(self) -> Question | None:
        """The oldest open question."""
        return next((question for question in list(self.open.values()) if question.is_open), None)

    def answer(self, value: object, number: int | Question | None) -> None:
        """Give `value` to the question with `number`, or to the oldest."""
        name = self.run.name
        if isinstance(number, Question):
            number = number.number
        question = self.oldest() if number is None else self.open.get(number)
        if question is not None and question.is_open:
            question.answer(value)
        elif number is None or not (self.open or self._last):
            raise LookupError(f"run {name!r} asks nothing now; it is {self.run.status}")
        elif number in range(1, self._last + 1):
            raise LookupError(f"question {number} of run {name!r} {_GONE}; open: {sorted(self.open)}")
        else:
            raise LookupError(f"run {name!r} has no open question {number}; open: {sorted(self.open)}")


# waiting for the next -------------------------------------------------------------------------------------------------
def would_await(caller: FrameType | None) -> bool:
    """Whether the code at `caller` can await: it is in a coroutine, not in a plain function, cell or thread.

    Looks outwards up to the module or cell that the code stands in; a kernel, which runs that in a coroutine of its own, is beyond it.
    """
    while caller is not None:
        if caller.f_code.co_flags & _ASYNC:
            return True
        if caller.f_code.co_name == "<module>":
            return False
        caller = caller.f_back
    return False


def _late(run: Lifecycle[Frame], timeout: float | None) -> TimeoutError:
    return TimeoutError(f"run {run.name!r} asked nothing within {timeout:g} s; it is {run.status}, and goes on")


def next_question(run: Any, timeout: float | None) -> Question | None:
    """The oldest open question of `run`, waited for in plain code; None when the run is over."""
    news: SimpleQueue[None] = SimpleQueue()  # an interrupt inside a `threading.Event` may keep its lock, which the telling thread needs
    stop: Callable[[], None] | None = None

    def wait(seconds: float) -> bool:
        try:
            news.get(timeout=seconds)
        except Empty:
            return False
        return True

    try:
        questions = run.ensure_controller().questions
        stop = questions.hear(partial(news.put, None))
        deadline = None if timeout is None else monotonic() + timeout
        with engine_thread.pool.release_slot():
            while True:
                if run.done() or (question := questions.oldest()) is not None:
                    return None if run.done() else question
                left = None if deadline is None else max(0.0, deadline - monotonic())
                if not wait_in_slices(wait, left, turn=engine_thread.run_once):
                    raise _late(run, timeout)
    except KeyboardInterrupt:
        run.cancel()
        raise
    finally:
        if stop is not None:
            stop()


def next_question_async(run: object, timeout: float | None) -> Coroutine[object, object, Question | None]:
    """The same, awaited."""
    return _awaited(run, timeout)


async def _awaited(run: Any, timeout: float | None) -> Question | None:
    loop, stop = asyncio.get_running_loop(), None
    try:
        questions = run.ensure_controller().questions
        news = asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(news.set)

        stop = questions.hear(tell)
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            news.clear()
            if run.done() or (question := questions.oldest()) is not None:
                return None if run.done() else question
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                raise _late(run, timeout)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await wait_awake(news.wait())
    except (asyncio.CancelledError, KeyboardInterrupt):
        if CURRENT_CELL.get() is not None:  # the kernel's stop button, as far as anybody can tell
            run.cancel()
        raise
    finally:
        if stop is not None:
            stop()
