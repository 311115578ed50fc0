"""`blocking_form`: an awaited method, made callable from plain code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Concatenate, ParamSpec, TypeVar

from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.core.context import still_wanted

__all__ = ["blocking_form"]

OwnerT = TypeVar("OwnerT")
ResultT = TypeVar("ResultT")
P = ParamSpec("P")
#: the sections of a docstring that hold for the blocking form, too
_SECTION = re.compile(r"^ *(Parameters|Returns|Raises|Notes|Examples)\n *-+\n", re.MULTILINE)
_KEPT = {"Parameters", "Returns", "Raises"}


def blocking_form(
    method: Callable[Concatenate[OwnerT, P], Coroutine[object, object, ResultT]], *, until_abandoned: bool = False
) -> Callable[Concatenate[OwnerT, P], ResultT]:
    """The method ``NAME_sync`` for the coroutine method ``NAME``: the same parameters, result and errors, waited for in a thread.

    Parameters
    ----------
    method : coroutine function
        A method; it runs on the loop of `io_thread`.
    until_abandoned : bool
        Whether a step that its run has abandoned stops waiting. What must be completed once it has begun does not.

    Returns
    -------
    function
        To be assigned in the class body.

    Examples
    --------
    >>> class Clock:
    ...     async def read(self, zone: str = "utc") -> str:
    ...         \"\"\"The time of `zone`.\"\"\"
    ...         return zone
    ...     read_sync = blocking_form(read)
    >>> Clock().read_sync("cet")
    'cet'
    >>> Clock.read_sync.__doc__
    '`read` from plain code.'
    """

    def blocking(owner: OwnerT, /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        if not until_abandoned:
            return io_thread.run(method(owner, *args, **kwargs))
        is_wanted = still_wanted()
        return io_thread.run(method(owner, *args, **kwargs), is_wanted=is_wanted)

    name = method.__name__
    update_wrapper(blocking, method)
    del blocking.__wrapped__  # type: ignore[attr-defined]  # set just now; readers would be shown the coroutine function
    blocking.__name__, blocking.__qualname__ = f"{name}_sync", f"{method.__qualname__}_sync"
    blocking.__doc__ = _blocking_doc(name, method.__doc__ or "", until_abandoned)
    blocking.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]  # read by inspect
    return blocking


def _blocking_doc(name: str, doc: str, until_abandoned: bool) -> str:
    """The summary of a blocking form, with the sections of the awaited form that hold for both."""
    parts = _SECTION.split(inspect.cleandoc(doc) + "\n")
    kept = [f"{head}\n{'-' * len(head)}\n{text.strip()}" for head, text in zip(parts[1::2], parts[2::2], strict=True) if head in _KEPT]
    summary = f"`{name}` from plain code." + (" A step that was abandoned by its run stops waiting." if until_abandoned else "")
    return "\n\n".join([summary, *kept])
