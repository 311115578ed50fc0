"""Steps written with ``yield``: an async `exec` is iterated here, and its texts are emitted as tokens as they come."""

from __future__ import annotations

import inspect
import sys
import warnings
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.core.flow.node_ids import base_name
from pocketflex_nb.engine.records.emit import emit

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.nodes import BaseNode

__all__ = ["LAZY", "streamed", "watched"]

#: what calling a function with ``yield`` gives
LAZY: tuple[object, object] = (GeneratorType, AsyncGeneratorType)


async def streamed(pieces: AsyncGenerator[object, object]) -> Any:
    """Run an async generator `exec` to its end: each text is a token of its lane.

    Returns
    -------
    str or list
        The texts joined, ``""`` for none at all; the list of the pieces when one of them is no text.
    """
    found: list[Any] = []
    async with aclosing(pieces):
        async for piece in pieces:
            found.append(piece)
            if isinstance(piece, str) and piece:
                emit("token", piece)
    return "".join(found) if all(isinstance(piece, str) for piece in found) else found


_MEND = "return the value, or read it in the next step"
#: the latest generators that steps of nodes alone gave, outside of any run
_alone: deque[object] = deque(maxlen=16)


def watched(generator: object, node: BaseNode, step: str) -> object:
    """`generator`, as `step` of `node` returned it; if it is dropped without having run, a warning is issued.

    Notes
    -----
    A generator tells nobody that it goes without having begun. Its frame outlives it when it is held, and stands at its beginning
    still then. The run holds it: what the frame holds (the store, as an argument) may lead back to the generator.
    """
    body = _unbegun(generator)
    if body is None:
        return generator
    text, begun = f"{_where(node)}: {step} is written with yield, and nobody ever ran its body: {_MEND}", body.f_lasti
    if step == "post":  # what it gives is the action, kept with the run, and nobody looks into it
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return generator

    frame = CURRENT_FRAME.get()
    run = None if frame is None else frame.lifecycle

    def look(gone: Any) -> None:
        if run is not None:
            run.lazy.discard(gone)
        if body.f_lasti == begun and not sys.is_finalizing():
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    if run is None:
        _alone.append(weakref.ref(generator, look))
    else:
        run.lazy = run.lazy or set()
        run.lazy.add(weakref.ref(generator, look))
    return generator


def _where(node: BaseNode) -> str:
    frame = CURRENT_FRAME.get()
    return f"node {base_name(node)!r}" if frame is None or frame.node is None else f"node {frame.node_id!r}"


def _unbegun(generator: Any) -> Any:
    """The frame of a generator that has not begun, else None."""
    if generator.__class__ is GeneratorType:
        return generator.gi_frame if inspect.getgeneratorstate(generator) == inspect.GEN_CREATED else None
    body = generator.ag_frame  # Python 3.11 does not tell the state of these
    return body if body is not None and body.f_lineno in (None, body.f_code.co_firstlineno) else None
