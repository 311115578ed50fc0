"""Asks a model once: its tokens stream into the lane of the running node, its usage is counted, a half reply is kept as an event.

A reply that was cut short by a cancellation or a broken connection is an event of kind ``message`` with ``partial=True``; nobody gets
it as an answer.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.code_marks import code_mark
from pocketflex_nb.core.flow.generator_steps import is_stream
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.engine.records.addresses import step_address
from pocketflex_nb.engine.records.emit import emit
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.walk.dispatch import is_async
from pocketflex_nb.engine.walk.steps import in_pool
from pocketflex_nb.llm.messages import Delta, Message, Reply, ReplyBuilder, ToolCall, assistant_message

__all__ = ["TOLD_BY", "ask_model", "check_model", "identity_of", "recorded", "takes_keyword", "tell_message"]

#: the key that marks messages which a node, and no person, put in: it is not sent to the model
TOLD_BY = "told_by"


def check_model(model: object, what: str) -> None:
    """Raise TypeError for what cannot be asked."""
    if callable(model) and not isinstance(model, type):
        return
    mend = "a model is a callable, such as openai_model(), or a function (messages, *, tools=None, schema=None) -> Reply"
    raise TypeError(f"{what}: the model is {value_text(model, 60)}, which cannot be called; {mend}")


def takes_keyword(model: Any, name: str) -> bool:
    """Whether a model takes this keyword, as far as its signature tells."""
    try:
        parameters = inspect.signature(model).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def tell_message(message: Mapping[str, Any], **more: object) -> None:
    """Make a message of the conversation an event."""
    facts = {name: message[name] for name in ("tool_calls", "tool_call_id") if message.get(name)}
    emit("message", message.get("content") or "", role=message["role"], **facts, **more)


async def ask_model(
    model: Any, messages: Sequence[Message], *, tools: Sequence[Mapping[str, object]] | None = None,
    schema: Mapping[str, object] | None = None,
) -> Reply:
    """The reply of `model` to `messages`; told as an event with what it spent, which counts against the budgets around it.

    Parameters
    ----------
    model : Model
        Plain code is run in the pool, so that it holds nobody up.
    messages : sequence of dict
        The whole conversation.
    tools, schema
        Passed on when given.

    Returns
    -------
    Reply
        Whose calls have ids of their own in the conversation.
    """
    asked = [{name: value for name, value in message.items() if name != TOLD_BY} for message in messages]
    options = {name: value for name, value in (("tools", tools), ("schema", schema)) if value}
    call = partial(model, asked, **options)
    limiter = getattr(model, "limiter", None)
    if limiter is None:
        begin = perf_counter()
        return _told(model, await _reply(model, call), asked, begin)
    async with limiter:
        begin = perf_counter()
        reply = await _reply(model, call)
    if reply.usage is not None:
        limiter.spend(reply.usage.tokens)
    return _told(model, reply, asked, begin)


def _told(model: Any, reply: Reply, asked: Sequence[Message], begin: float) -> Reply:
    """`reply`, as it goes into the conversation, made an event."""
    if reply.tool_calls:
        reply = replace(reply, tool_calls=_numbered(reply.tool_calls, asked))
    facts: dict[str, object] = {"seconds": perf_counter() - begin}
    if (usage := reply.usage) is not None:
        facts |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        if usage.cost:
            facts["cost"] = usage.cost
    name = getattr(model, "name", None)
    if isinstance(name, str):
        facts["model"] = name
    if reply.refusal and not reply.text:
        facts["refusal"] = reply.refusal
    tell_message(assistant_message(reply), **facts)
    return reply


def _numbered(calls: Sequence[ToolCall], conversation: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls, each with an id that is not in the conversation yet."""
    taken = {call["id"] for message in conversation for call in message.get("tool_calls") or ()}
    found: list[ToolCall] = []
    for call in calls:
        number = len(taken)
        name = call.id
        while not name or name in taken:
            number += 1
            name = f"call_{number}"
        taken.add(name)
        found.append(replace(call, id=name))
    return tuple(found)


async def _reply(model: Any, call: Callable[[], Any]) -> Reply:
    builder = ReplyBuilder()
    try:
        given = await _given(model, call, builder)
    except BaseException:
        if builder.has_begun:
            emit("message", builder.text, role="assistant", partial=True)
        raise
    if given is builder:
        return builder.reply()
    reply = Reply(given) if isinstance(given, str) else given
    if not isinstance(reply, Reply):
        raise TypeError(
            f"the model {_name_of(model)} returned {value_text(given, 60)} of type {type(given).__name__}: return a Reply or a text, "
            "or yield Deltas"
        )
    if reply.text:
        emit("token", reply.text)
    return reply


async def _given(model: Any, call: Callable[[], Any], builder: ReplyBuilder) -> object:
    """What the model returns; `builder` when it streams, and has been read to its end."""
    if is_async(model) or is_stream(model):
        given = call()
    else:
        given = await _in_thread(partial(_called, call, builder))
    if inspect.isawaitable(given):
        given = await given
    if not isinstance(given, AsyncIterator):
        return given
    pieces: Any = given
    async with aclosing(pieces) if hasattr(pieces, "aclose") else nullcontext():
        async for piece in pieces:
            _take(model, piece, builder)
    return builder


def _called(call: Callable[[], Any], builder: ReplyBuilder) -> object:
    """What a plain model returns; a generator is read here, in the pool's thread, until its run is to end."""
    given = call()
    if not isinstance(given, Iterator):
        return given
    frame = CURRENT_FRAME.get()
    for piece in given:
        _take(call, piece, builder)
        if frame is not None and frame.is_cancelled():
            close = getattr(given, "close", None)
            if close is not None:
                close()
            break
    return builder


async def _in_thread(fn: Callable[[], object]) -> object:
    frame = CURRENT_FRAME.get()
    if not isinstance(frame, Frame) or sys.platform == "emscripten":
        return fn()
    return await in_pool(frame, fn)


def _take(model: Any, piece: object, builder: ReplyBuilder) -> None:
    if not isinstance(piece, (Delta, str)):
        told = f"{value_text(piece, 60)} of type {type(piece).__name__}"
        raise TypeError(f"the model {_name_of(model)} yielded {told}: yield Deltas or texts")
    if text := builder.add(piece):
        emit("token", text)


def _name_of(model: Any) -> str:
    while isinstance(model, partial):
        model = model.func
    return repr(getattr(model, "__name__", None) or type(model).__name__)


def identity_of(model: Any, *asked: object) -> object:
    """What a reply to `asked` depends on, for caches; None when the model cannot be told from another."""
    own = getattr(model, "identity", None)
    if callable(own):
        return [own(), *asked]
    while isinstance(model, partial):
        asked = (*asked, repr(model.args), repr(sorted(model.keywords.items())))
        model = model.func
    return [model.__qualname__, code_mark(model), *asked] if inspect.isfunction(model) else None


async def recorded(label: str, ask: Callable[[], Any]) -> Reply:
    """The reply that `ask` awaits; with a journal it is kept at an address of its own, and not asked for again after a crash.

    Parameters
    ----------
    label : str
        Tells the calls of one visit apart.
    ask : callable
        Returns an awaitable of the reply.
    """
    frame = CURRENT_FRAME.get()
    recording = frame.lifecycle.recording if isinstance(frame, Frame) else None
    if recording is None or not isinstance(frame, Frame):
        reply: Reply = await ask()
        return reply
    address = f"{step_address(frame, frame.node)} {label}"
    is_known, known = recording.result(address)
    if is_known and isinstance(known, Reply):
        return known
    reply = await ask()
    await recording.keep_result(frame, address, reply)
    return reply
