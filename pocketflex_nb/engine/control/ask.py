"""`ask`: puts a question to a person and parks one walk until the answer comes; parallel branches continue."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from types import FrameType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.errors import CannotAsk, NotOnTape, RunCancelled
from pocketflex_nb.engine.control.outer_run import around
from pocketflex_nb.engine.control.question import Question
from pocketflex_nb.engine.records.reuse import exec_asks

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame

__all__ = ["NOTHING", "ask", "ask_awaited"]

_ASYNC = CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE

NOTHING: object = type("Nothing", (), {"__repr__": lambda self: "NOTHING"})()


def ask(
    question: str,
    choices: Sequence[object] | None = None,
    *,
    schema: Mapping[str, object] | object = None,
    default: object = NOTHING,
    timeout: float | None = None,
) -> Any:
    """Ask a person, and park this walk until the answer comes.

    Parameters
    ----------
    question : str
        What is asked.
    choices : sequence, optional
        What may be answered: buttons in the view.
    schema : mapping or type, optional
        Field name to type: a form in the view; the answer is a dict. A type alone (``int``, ``list[str]``, a dataclass, a pydantic model)
        gives one of its values.
    default : object, optional
        The answer when nobody can answer here, or nobody did within `timeout`.
    timeout : float, optional
        Seconds to wait. The run's and node's own limits do not count them.

    Returns
    -------
    object
        The answer; in an ``async def`` step an awaitable of it: ``await ask(...)``.

    Raises
    ------
    CannotAsk
        Nobody could answer here and there is no `default`; or a plain ``prep`` or ``post`` asks on the engine's loop, where it may
        not wait: make it ``async def``.
    TimeoutError
        Nobody answered in time and there is no `default`.
    TypeError
        A field of `schema` names no type.

    Notes
    -----
    Answers are converted strictly. ``"no"``, ``"False"`` and ``"0"`` are False and ``"36"`` is 36; 3.7 is no int, None no text. Fields may
    be ``list[str]``, ``int | None``, ``Literal``, enums, dates, dataclasses and pydantic models; a text is read as JSON where a list,
    mapping or model is asked for. What does not fit is a ValueError that names the field, and the question stays open.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node, ask, launch
    >>> class Approve(Node):
    ...     def exec(self, prep_res):
    ...         return ask("Send it?", choices=["yes", "no"])
    ...     def post(self, shared, prep_res, exec_res):
    ...         return exec_res
    >>> run = launch(Flow(Approve()), {})
    >>> run.asking(timeout=10).text
    'Send it?'
    >>> run.answer("yes")                          # in a notebook: a click
    >>> run.result(10)
    'yes'
    """
    frame = CURRENT_FRAME.get()
    if frame is None:
        raise CannotAsk(f"ask({question!r}) stands outside of any run: call it in a node of a launched flow")
    asked = _Asking(frame, str(question), choices, schema, default, timeout)
    if _has_no_loop():
        return asked.block()
    if _is_awaited(sys._getframe(1)):
        return asked.wait()
    return asked.pass_over()


async def ask_awaited(question: str, choices: Sequence[object] | None = None, *, schema: Mapping[str, object] | object = None) -> Any:
    """`ask` for coroutines of this package, which it would take for the engine's own.

    Raises
    ------
    CannotAsk
        No run calls, or nobody could answer.
    """
    frame = CURRENT_FRAME.get()
    if frame is None:
        raise CannotAsk(f"{question!r} is asked outside of any run")
    return await _Asking(frame, question, choices, schema, NOTHING, None).wait()


def _is_awaited(caller: FrameType | None) -> bool:
    """Whether a coroutine of the user's is between the engine and `caller`: only then can an awaitable be used."""
    while caller is not None and not caller.f_globals.get("__name__", "").startswith("pocketflex_nb."):
        if caller.f_code.co_flags & _ASYNC:
            return True
        caller = caller.f_back
    return False


class _Asking:
    """One call of `ask`."""

    def __init__(self, frame: Frame, text: str, choices: Any, schema: object, default: object, timeout: float | None) -> None:
        if schema is not None:
            from pocketflex_nb.engine.control.answer_conversion import check_schema, fields_of  # most questions have none

            check_schema(schema)
            self.fields = fields_of(schema)
        else:
            self.fields = None
        self.frame, self.run, self.default, self.timeout = frame, frame.lifecycle, default, timeout
        self.controller = frame.lifecycle.ensure_controller()
        self.place: tuple[str, int] | None = None  # with a journal: where this is asked, and how often it was asked there
        self.question = Question(
            text, tuple(choices) if choices is not None else None, schema, run=self.run.name, node=frame.node_id, timeout=timeout,
            ends=self._settle,
        )

    def _begin(self) -> bool:
        """Open the question; False when nobody can answer here and the default applies."""
        if self._is_deaf():
            if self.default is NOTHING:
                raise self._deaf()
            return False
        if self.run.ending is not None:  # a step that is tried again although its run is to end
            raise self.run.ending
        q, recording = self.question, self.run.recording
        if self.place is not None and recording is not None:
            q.number = recording.number(self.place)
        self.controller.open(q)
        if self.place is not None and recording is not None:
            recording.asking(q.number, self.place)
        self.frame.note("asked", ask=q.number, question=q.text, choices=list(q.choices) if q.choices is not None else None,
                        schema=self.fields, timeout=self.timeout)
        if self.place is not None and recording is not None:
            recording.asked()
        return True

    def _recorded(self) -> tuple[bool, object]:
        """Whether the journal has an answer that was given before a crash, or the tape has one, and the answer."""
        run = self.run
        found: tuple[bool, object] = False, None
        recording, tape = run.recording, None if run.reuse is None else run.reuse.tape
        exec_asks(self.frame)
        if recording is not None:
            self.place = recording.questions.place(self.frame, self.question.text)
            found = recording.answer(*self.place)
        if tape is not None and run.reuse is not None and not found[0]:
            place = self.place or run.reuse.questions.place(self.frame, self.question.text)
            found = tape.answer(*place)
            if found[0] and recording is not None and self.place is not None:
                recording.early(recording.recorder.answered(*self.place, found[1]))
            elif not found[0] and run.reuse.is_strict:
                raise NotOnTape(
                    f"{self.frame.node_id} asks {self.question.text!r}, and the tape {tape.name} has no answer to that; record the flow as "
                    "it is now (journal=...), or play without strict_tape, so that it is asked",
                    address=self.frame.address, tape=tape.name,
                )
        return found

    def _deaf(self) -> CannotAsk:
        return CannotAsk(
            f"node {self.frame.node_id!r} asks {self.question.text!r}, and no answer could arrive here; "
            "launch the flow (flow.launch or %%pocketflex) and answer in the view or with run.answer(...), "
            "or give ask(default=...)"
        )

    def _is_deaf(self) -> bool:
        told = self._told()
        return told if told is not None else threading.current_thread() is threading.main_thread() and _has_no_loop()

    def _told(self) -> bool | None:
        """Whether it is known that nobody can answer this run, or an outer one; None when it is unknown."""
        for run in (self.run, *around(self.run)):
            if run.controller is not None and run.controller.headless is not None:
                return bool(run.controller.headless)
            if run.blocks:
                return True
            if run.launched:
                return False
        return None

    def pass_over(self) -> object:
        """Answer a plain step on a running loop, which must not wait there: the default when nobody could answer anyway, else an error."""
        if self._told() is not False and self.default is not NOTHING:
            return self.default
        if any(run.blocks for run in (self.run, *around(self.run))):
            raise self._deaf()
        raise CannotAsk(
            f"a plain step of node {self.frame.node_id!r} asks {self.question.text!r} on the thread of a running event loop, where it may "
            "not wait; make the step `async def` and `await ask(...)`, or ask in a plain `exec` of a launched flow"
        )

    def _settle(self, value: object, by: str) -> None:
        """The question is answered, in the answering thread; the step continues when this is noted."""
        self.controller.close(self.question)
        if self.place is not None and self.run.recording is not None and by != "nobody":  # kept before the step goes on with it
            self.run.recording.answered(*self.place, value)
        self.frame.note("answered", ask=self.question.number, value=value, by=by)

    def _late(self) -> object:
        """Handle the timeout, unless an answer came at the last moment."""
        if self.default is NOTHING:
            if self.question.end(None, "nobody"):
                raise TimeoutError(f"nobody answered {self.question.text!r} within {self.timeout:g} s; give ask(default=...)")
        else:
            self.question.end(self.default, "default")
        return self.question.value

    def _give_up(self) -> None:
        """Withdraw the question: from now on an answer is refused, and no view shows it."""
        self.question.end(None, "nobody")

    def block(self) -> object:
        """Wait in this thread."""
        is_known, value = self._recorded()
        if is_known:
            return value
        if not self._begin():
            return self.default
        resume = self._stop_clock()
        with self.run.cancelling(self.question.ended.cancel), engine_thread.pool.release_slot():
            try:
                self.question.ended.result(self.timeout)
                return self.question.value
            except CancelledError as exc:
                raise (self.run.ending or RunCancelled(f"run {self.run.name!r} was cancelled")) from exc
            except TimeoutError:
                return self._late()
            finally:
                self._give_up()
                resume()

    async def wait(self) -> Any:
        """Wait in this task; the time limit of the attempt is suspended meanwhile."""
        is_known, value = self._recorded()
        if is_known:
            return value
        if not self._begin():
            return self.default
        resume = self._stop_clock()
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def ended(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(over.set)

        self.question.ended.add_done_callback(ended)
        try:
            async with asyncio.timeout(self.timeout) as clock:
                await over.wait()
            return self.question.value
        except TimeoutError:
            if not clock.expired():
                raise
            return self._late()
        finally:
            self._give_up()
            resume()

    def _stop_clock(self) -> Callable[[], None]:
        """Stop the clocks of the asking attempt, and of those around its run; returns a function that starts them again."""
        frames = [self.frame]
        for run in (self.run, *around(self.run)):
            if run.outer is not None and run.outer_run is not None:
                frames.append(run.outer)
        resumes = [_stop_clock(frame) for frame in frames]

        def resume() -> None:
            for go_on in resumes:
                go_on()

        return resume


def _stop_clock(frame: Any) -> Callable[[], None]:
    outer = frame.parent if frame.step and frame.clock is None else frame
    if outer is None or outer.clock is None:
        return lambda: None
    loop, clock = outer.clock
    left: list[float] = []

    def stop() -> None:
        if clock.when() is not None and not clock.expired():
            left.append(clock.when() - loop.time())
            clock.reschedule(None)

    def go_on() -> None:
        if left and not clock.expired() and outer.clock is not None and outer.clock[1] is clock:
            clock.reschedule(loop.time() + left.pop())

    loop.call_soon_threadsafe(stop)
    return lambda: loop.call_soon_threadsafe(go_on)


def _has_no_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False
