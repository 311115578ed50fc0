"""Where the result of an `exec` comes from: the journal of an earlier process, a tape, the cache, or the call itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pocketflex_nb.core.codec.decoder import decode, is_whole
from pocketflex_nb.core.codec.encoder import encode
from pocketflex_nb.core.errors import DecodingError, EncodingError, JournalError, NotOnTape, RecordedError
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.records.addresses import walk_address
from pocketflex_nb.engine.records.frame import Frame
from pocketflex_nb.engine.records.reuse import CACHED, CALLED, TAPED, ExecCall
from pocketflex_nb.engine.walk.cache_keys import cache_key, is_cacheable

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import CachedResults, RecordedRun
    from pocketflex_nb.engine.records.lifecycle import Reusing

__all__ = ["exec_result"]

_NOTHING = object()
#: by file and key, the calls that go on
_calls: dict[tuple[str, str], ExecCall] = {}


async def exec_result(
    reuse: Reusing[Frame], frame: Frame, node: object, prep_res: object, address: str, call: Callable[[], Awaitable[object]]
) -> tuple[object, str]:
    """What `exec` of the visit or item at `address` gives, and where from.

    Parameters
    ----------
    frame : Frame
        The walk, or the step of an item.
    node : BaseNode
        The visit's copy.
    call : coroutine function
        Calls `exec`, with its attempts and its fallback.

    Raises
    ------
    NotOnTape
        A strict tape has no result for it.
    RecordedError
        The tape has that it failed.
    """
    if reuse.tape is not None:
        result = _from_tape(reuse.tape, frame, prep_res, address)
        if result is not _NOTHING:
            return result, TAPED
        if reuse.is_strict:
            raise NotOnTape(
                f"{frame.node_id} ({address}): the tape {reuse.tape.name} has no result for it; record the flow as it is now "
                "(journal=...), or play without strict_tape, so that it is called",
                address=address, tape=reuse.tape.name,
            )
    if reuse.cache is None or not is_cacheable(node, prep_res):
        return await call(), CALLED
    try:
        key = cache_key(node, prep_res)
    except EncodingError as exc:
        reuse.say_once(frame, "key", f"its results are not cached: {exc}")
        key = None
    return (await call(), CALLED) if key is None else await _cached(reuse, reuse.cache, frame, node, prep_res, key, call)


# the tape --------------------------------------------------------------------------------------------------------------
def _from_tape(tape: RecordedRun, frame: Frame, prep_res: object, address: str) -> object:
    row = tape.result(address)
    if row is not None:
        result = row.value("e")
        return result if is_whole(result) else _NOTHING
    row = tape.finished(address)
    if row is None:
        return _NOTHING
    if "error" in row.data:
        raise RecordedError(str(row.data["error"]), kind=str(row.data.get("class", "")))
    if not isinstance(prep_res, Store):  # `exec` gave what could not be kept
        return _NOTHING
    scope = frame.scope  # `exec` worked on the store itself: what it wrote there is a part of what it gave
    for key, is_there, value in tape.changes(address, "" if scope is None else walk_address(scope)) or ():
        if is_there:
            prep_res[key] = value
        else:
            prep_res.pop(key, None)
    return row.value("a")


# the cache -------------------------------------------------------------------------------------------------------------
async def _cached(
    reuse: Reusing[Frame], cache: CachedResults, frame: Frame, node: object, prep_res: object, key: str,
    call: Callable[[], Awaitable[object]],
) -> tuple[object, str]:
    place = str(cache.path), key
    while True:
        result = _looked_up(reuse, cache, frame, key)
        if result is not _NOTHING:
            return result, CACHED
        other = _calls.get(place)
        if other is None or other.landed.get_loop() is not asyncio.get_running_loop() or other.is_around(frame):
            break
        text = await asyncio.shield(other.landed)  # the same call goes on: its result is this one's, too
        if text is not None and (result := _read(text)) is not _NOTHING:
            return result, CACHED
        if _calls.get(place) is other:  # it goes on alone, since it asks somebody
            return await call(), CALLED
    made = frame.call = _calls[place] = ExecCall(frame)
    try:
        result = await call()
        text = _text(reuse, frame, node, prep_res, key, result) if made.is_kept else None
        if text is not None:
            try:
                await cache.keep(key, frame.node_id, text)
            except JournalError as exc:
                reuse.lose_cache(frame, exc)
            if reuse.refreshes is not None:
                reuse.refreshes.add(key)
        made.land(text)
        return result, CALLED
    finally:
        made.land(None)
        frame.call = None
        if _calls.get(place) is made:
            del _calls[place]


def _looked_up(reuse: Reusing[Frame], cache: CachedResults, frame: Frame, key: str) -> object:
    """The cached result, or `_NOTHING`."""
    if reuse.refreshes is not None and key not in reuse.refreshes:
        return _NOTHING
    try:
        text = cache.get(key)
    except JournalError as exc:
        reuse.lose_cache(frame, exc)
        return _NOTHING
    return _NOTHING if text is None else _read(text)


def _read(text: str) -> object:
    try:
        return decode(text)
    except DecodingError:  # its class is not loaded here, or has changed
        return _NOTHING


def _text(reuse: Reusing[Frame], frame: Frame, node: object, prep_res: object, key: str, result: object) -> str | None:
    """The text of a result; None, which is said once, when it cannot be kept."""
    try:
        text = encode(result, at=("exec_res",))
    except EncodingError as exc:
        reuse.say_once(frame, "result", f"its result is not cached: {exc}")
        return None
    try:
        if cache_key(node, prep_res) == key:
            return text
    except EncodingError:
        pass
    reuse.say_once(frame, "changes", "its result is not cached: exec changes what prep gave it, or the node; return what it finds instead")
    return None
