"""The attempts of `exec` in plain code, with the node's wait between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.concurrency.foreign_errors import raised_by_step, step_error
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.generator_steps import is_stream
from pocketflex_nb.core.flow.outcomes import Outcomes, given, is_awaited
from pocketflex_nb.engine.control.attempt_clock import limit
from pocketflex_nb.engine.walk.batch_items import is_collected, items_async
from pocketflex_nb.engine.walk.dispatch import is_async
from pocketflex_nb.engine.walk.failed_attempts import begin_try, end_tries, take_back
from pocketflex_nb.engine.walk.flow_visit import entered
from pocketflex_nb.engine.walk.steps import attempt_async, next_try, patience, retried
from pocketflex_nb.engine.walk.streaming_steps import LAZY, streamed, watched
from pocketflex_nb.engine.walk.wait_for_step import wait_here

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.item_failure import ItemFailure
    from pocketflex_nb.core.flow.nodes import BaseNode
    from pocketflex_nb.engine.records.frame import Frame

__all__ = ["attempt", "attempt_items", "attempt_legacy_async"]


def attempt(node: Any, prep_res: object) -> object:
    """`exec` with its attempts and its fallback (`Node._exec`); a coroutine to await when `exec` is async."""
    if is_async(node.exec) or is_stream(node.exec):
        return attempt_async(node, prep_res)
    if node._pfx_timeout is not None:
        return _waited(node, attempt_async(node, prep_res))
    tries, on, wait = patience(node)
    outer = CURRENT_FRAME.get() if tries > 1 else None
    for number in range(tries):
        node.cur_retry = number
        if outer is not None:
            begin_try(outer)
        try:
            result = node.exec(prep_res)
            return watched(result, node, "exec") if result.__class__ in LAZY else result
        except (Exception, asyncio.CancelledError) as caught:
            exc = step_error(caught)
            prep_res = take_back(outer, prep_res)
            if number == tries - 1 or not isinstance(exc, on):
                return node.exec_fallback(prep_res, exc)
            frame = CURRENT_FRAME.get()
            if frame is not None and frame.lifecycle.ending is not None:  # no other try for a run that is to end
                if exc is caught:
                    raise
                raise exc  # noqa: B904 - it has its cause
            retried(node, frame, number, exc)
        finally:
            end_tries(outer)
        if (seconds := wait(number, exc)) > 0:
            with next_try(number, tries, exc, seconds):
                time.sleep(seconds)
    return None


def attempt_items(node: Any, items: Any) -> object:
    """`exec` per item (`BatchNode._exec`): one after the other and lazily, unless the node says otherwise."""
    items = given(items)
    if is_async(node.exec) or is_async(node.exec_fallback) or is_stream(node.exec):
        return items_async(node, items)
    if node._pfx_max_concurrency != 1 or node._pfx_timeout is not None or is_awaited(items):
        return _waited(node, items_async(node, items))
    frame = CURRENT_FRAME.get()
    if node._pfx_on_item_error != "collect":
        return [_item(node, item, index, frame) for index, item in enumerate(items)]
    failures: list[ItemFailure] = []
    return Outcomes([_item(node, item, index, frame, failures) for index, item in enumerate(items)], failures)


async def attempt_legacy_async(node: Any, prep_res: object) -> object:
    """`exec_async` of a node in the `*_async` spelling that has a time limit or a `Retry`, with its attempts and its fallback."""
    frame = CURRENT_FRAME.get()
    if frame is None:
        with entered(node, None) as frame:
            frame.node = node
            return await attempt_legacy_async(node, prep_res)
    tries, on, wait = patience(node)
    for number in range(tries):
        node.cur_retry = number
        try:
            if node._pfx_timeout is None:
                return await _spelled_once(node, prep_res)
            async with limit(node._pfx_timeout, frame):
                return await _spelled_once(node, prep_res)
        except (Exception, asyncio.CancelledError) as caught:
            exc = step_error(caught)
            if number == tries - 1 or not isinstance(exc, on):
                return await node.exec_fallback_async(prep_res, exc)
            retried(node, frame, number, exc)
        if (seconds := wait(number, exc)) > 0:
            with next_try(number, tries, exc, seconds):
                await asyncio.sleep(seconds)
    return None


async def _spelled_once(node: Any, prep_res: object) -> object:
    result = node.exec_async(prep_res)
    return await (streamed(result) if result.__class__ is AsyncGeneratorType else result)


def _waited(node: Any, coro: Coroutine[object, object, object]) -> object:
    """Wait for `coro` here; for a node that is visited alone, as a run of its own, since limits are reported by a run."""
    frame = CURRENT_FRAME.get()
    if frame is not None:
        return wait_here(coro, frame)
    with entered(node, None) as frame:
        frame.node = node
        return wait_here(coro, frame)


def _item(node: BaseNode, item: object, index: int, frame: Frame, failures: list[ItemFailure] | None = None) -> object:
    if frame is not None and frame.lifecycle.needs_check:  # a limit that the items before have overrun
        frame.lifecycle.check(frame)
    try:
        return attempt(node, item)
    except Exception as caught:
        exc = raised_by_step(caught)
        if not is_collected(exc, CURRENT_FRAME.get(), node, index, item, failures):
            if exc is caught:
                raise
            raise exc  # noqa: B904 - it has its cause
        return exc
