"""The `repr` of objects of unknown classes, computed in a thread of its own and with a time limit."""

from __future__ import annotations

import sys
import threading
import types
import weakref

__all__ = ["REPR_TIMEOUT", "repr_of"]

#: seconds that a `repr` may take; a class whose `repr` once took longer is shown by its name from then on
REPR_TIMEOUT = 0.2
#: modules and built-in classes whose `repr` is known to be quick and to call no other
_TRUSTED = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "pathlib._local", "uuid", "zoneinfo"})
_QUICK = frozenset({
    types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, range, type(...), type(NotImplemented), types.GeneratorType,
    types.CoroutineType,
})
_slow: weakref.WeakSet[type] = weakref.WeakSet()
_lock = threading.Lock()  # one question at a time, so that no class is blamed for another
_asked: _Asked | None = None


class _Asked(threading.Thread):
    """The thread that calls `repr`, replaced once an answer takes too long."""

    def __init__(self) -> None:
        super().__init__(name="pocketflex-repr", daemon=True)
        self.value: object = None
        self.text: str | None = None
        self.error: BaseException | None = None
        self.is_dropped = False
        self.wanted, self.ready = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        while not self.is_dropped:
            self.wanted.acquire()
            try:
                self.text = repr(self.value)
            except BaseException as exc:  # it is raised where it was asked for
                self.error = exc
            self.value = None
            self.ready.release()

    def ask(self, value: object) -> str | None:
        """The text, or None when there is none in time."""
        self.value = value
        self.wanted.release()
        if not self.ready.acquire(timeout=REPR_TIMEOUT):
            self.is_dropped = True
            return None
        text, error, self.text, self.error = self.text, self.error, None, None
        if error is not None:
            # one that is no Exception would end who looks, as the stop button and the interpreter's end do: it gets the same name
            raise error if isinstance(error, Exception) else type(type(error).__name__, (RuntimeError,), {})(*error.args)
        return text


def repr_of(value: object) -> str | None:
    """The `repr` of `value`, or None when its class was too slow before or is too slow now.

    Raises
    ------
    Exception
        What the `repr` raises.
    """
    global _asked
    cls = type(value)
    if getattr(cls, "__repr__", None) is object.__repr__ or cls in _QUICK or cls.__module__ in _TRUSTED:
        return repr(value)
    if sys.platform == "emscripten" or isinstance(threading.current_thread(), _Asked):
        return repr(value)
    if cls in _slow:
        return None
    with _lock:
        if _asked is None or not _asked.is_alive():  # the first time, and in a forked child
            _asked = _Asked()
            _asked.start()
        try:
            return _asked.ask(value)
        finally:
            if _asked.is_dropped:
                _slow.add(cls)
                _asked = None
