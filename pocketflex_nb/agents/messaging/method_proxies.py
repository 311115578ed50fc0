"""Methods of an agent as methods of its ref: ``await ref.pop()`` sends a message that names the method."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from pocketflex_nb.agents.messaging.envelopes import MethodCall
from pocketflex_nb.agents.protocol.ref import Ref
from pocketflex_nb.core.errors import nearest

__all__ = ["Within", "ref_type"]

R = TypeVar("R", bound=Ref)


class Within:
    """An agent with another timeout: see `AgentRef.within`."""

    __slots__ = ("_ref", "_seconds")

    def __init__(self, ref: Ref, seconds: float | None) -> None:
        self._ref, self._seconds = ref, seconds

    async def call(self, message: object, **options: object) -> Any:
        """`AgentRef.call` with this timeout."""
        return await self._ref.call(message, timeout=self._seconds, **options)

    def call_sync(self, message: object) -> Any:
        """`AgentRef.call_sync` with this timeout."""
        return self._ref.call_sync(message, timeout=self._seconds)

    def __getattr__(self, name: str) -> Any:
        method: Any = getattr(type(self._ref), name, None)
        if not hasattr(method, "_pfx_timed"):
            known = [n for n in dir(type(self._ref)) if hasattr(getattr(type(self._ref), n), "_pfx_timed")]
            raise AttributeError(f"{self._ref!r} has no handler {name!r}{nearest(name, known)}", name=name, obj=self._ref)
        return partial(method._pfx_timed, self._ref, self._seconds)


def ref_type(cls: Any, base: type[R]) -> type[R]:
    """`base` with a method for each handler that `cls` marks, so that ``ref.pop()`` is found, completed and documented like any other.

    Notes
    -----
    Real methods instead of ``__getattr__``, which would slow every attribute of the ref down on Python 3.11.
    """
    known: type[R] | None = cls.__dict__.get("_pfx_ref_type")
    if known is None:
        methods: dict[str, Any] = {name: getattr(cls, name, None) for name in dir(cls)}
        marked = {name: fn for name, fn in methods.items() if hasattr(fn, "_pfx_handles") and not hasattr(base, name)}
        body = {name: _sender(name, fn, *fn._pfx_handles) for name, fn in marked.items()}
        known = type(base.__name__, (base,), {"__slots__": (), "__doc__": base.__doc__, **body}) if body else base
        cls._pfx_ref_type = known
    return known


def _sender(name: str, fn: Callable[..., Any], kind: str, is_reentrant: bool) -> object:
    """The method ``ref.name(...)``."""

    async def timed_call(self: Ref, timeout: float | None, /, *args: object, **kwargs: object) -> Any:
        return await self.call(MethodCall(name, args, kwargs, is_reentrant), timeout=timeout)

    async def call(self: Ref, /, *args: object, **kwargs: object) -> Any:
        return await self.call(MethodCall(name, args, kwargs, is_reentrant))

    def timed_cast(self: Ref, timeout: float | None, /, *args: object, **kwargs: object) -> None:
        self.cast(MethodCall(name, args, kwargs, is_reentrant))

    def cast(self: Ref, /, *args: object, **kwargs: object) -> None:
        self.cast(MethodCall(name, args, kwargs, is_reentrant))

    send: Any = wraps(fn)(call if kind == "call" else cast)
    send._pfx_timed = timed_call if kind == "call" else timed_cast
    return send
