"""Checks that code shares a store safely: one writer is stopped after each of its store operations in turn while another one works.

A random interleaving finds a mistake of this kind only now and then. Here the first writer does one store operation, the second all of
its, and then the first the rest; the next time the first does two operations, and so on. What a writer has read is its own copy, as in
a kernel of its own, and what it changes there is sent with its next operation.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from itertools import count as numbers
from types import FunctionType
from typing import Any

from pocketflex_nb.core.store.store import Store

__all__ = ["FUNCTIONS", "Desk", "total_of_two_desks"]

#: modules, and how many functions they have
FUNCTIONS = {"argparse": 138, "calendar": 66}
#: seconds that the second desk gets while the first is stopped: it may wait for a lock of the first
_APART = 0.2
#: seconds after which a desk that neither ends nor fails is left alone
_LATE = 5.0
#: verbs that a desk is stopped after, one by one
_VERBS = 50
#: what protects the threads of one kernel, and nobody in another one
_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore)


class Desk:
    """A store as one of several kernels sees it.

    Parameters
    ----------
    store : Store
        What they share.
    turn : callable
        Called after each verb.
    """

    def __init__(self, store: Store, turn: Callable[[], object]) -> None:
        self._store, self._turn = store, turn
        self._read: dict[object, tuple[object, object]] = {}  # key: what was handed out, and what it was then

    def __getattr__(self, name: str) -> object:
        verb = getattr(self._store, name)
        if not callable(verb) or name.startswith("__"):
            return verb
        return lambda *args, **options: self._do(verb, *args, **options)

    def __getitem__(self, key: object) -> Any:
        return self._do(self._store.__getitem__, key)

    def __setitem__(self, key: object, value: object) -> None:
        self._do(self._store.__setitem__, key, value)

    def __delitem__(self, key: object) -> None:
        self._do(self._store.__delitem__, key)

    def __contains__(self, key: object) -> bool:
        return bool(self._do(self._store.__contains__, key))

    def __iter__(self) -> object:
        return iter(self._do(lambda: list(self._store)))

    def __len__(self) -> int:
        return int(self._do(self._store.__len__))

    def _do(self, verb: Callable[..., Any], *args: object, **options: object) -> Any:
        self.send()
        try:
            given = verb(*args, **options)
        except Exception:  # a key that is not there is an answer, too
            self._turn()
            raise
        if type(given) in (list, dict, set):
            given = copy.deepcopy(given)
            if args:
                self._read[args[0]] = given, copy.deepcopy(given)
        elif type(given).__name__ in ("dict_keys", "dict_values", "dict_items"):
            given = list(given)
        self._turn()
        return given

    def send(self) -> None:
        """Write back what was changed in place."""
        for key, (now, then) in list(self._read.items()):
            if now != then:
                self._store[key] = copy.deepcopy(now)
                self._read[key] = now, copy.deepcopy(now)


def total_of_two_desks(count: Callable[[object, str, int], object], modules: list[str], right: int) -> object:
    """A wrong total that two writers get for these two modules, or None if it is `right` at every interleaving.

    Raises
    ------
    Exception
        What `count` raises.
    """
    for verbs in range(1, _VERBS):
        store = Store({"total": 0})
        is_stopped = _work_apart(count, modules, store, verbs)
        if store["total"] != right:
            return store["total"]
        if not is_stopped:
            return None
    return None


def _work_apart(count: Callable[[object, str, int], object], modules: list[str], store: Store, verbs: int) -> bool:
    """Run the second writer when the first has done that many operations; returns whether it did as many."""
    stopped, go = threading.Event(), threading.Event()
    done = numbers(1)

    def turn() -> None:
        if next(done) == verbs:
            stopped.set()
            go.wait(_LATE)

    first = _begun(_in_a_kernel_of_its_own(count), Desk(store, turn), modules[0], stopped)
    stopped.wait(_LATE)
    is_stopped = not first.done()
    second = _begun(_in_a_kernel_of_its_own(count), Desk(store, lambda: None), modules[1])
    wait([second], _APART)
    go.set()
    for desk in (first, second):
        desk.result(_LATE)
    return is_stopped


def _in_a_kernel_of_its_own(count: Callable[[Any, str, int], object]) -> Callable[[Any, str, int], object]:
    """The function with its own locks and collections, as another kernel that ran the same cell has them; others as they are."""
    if not isinstance(count, FunctionType):
        return count
    names = {name: _own(value) for name, value in list(count.__globals__.items())}
    own = FunctionType(count.__code__, names, count.__name__, count.__defaults__, count.__closure__)
    own.__kwdefaults__ = count.__kwdefaults__
    own.__dict__.update((name, _own(value)) for name, value in vars(count).items())
    names[count.__name__] = own
    return own


def _own(value: object) -> object:
    if isinstance(value, _LOCKS):
        return type(value)() if isinstance(value, threading.Condition | threading.Semaphore) else threading.RLock()
    return copy.copy(value) if type(value) in (dict, list, set) else value


def _begun(count: Callable[[object, str, int], object], desk: Desk, module: str, over: threading.Event | None = None) -> Future[None]:
    """A desk at work in a thread of its own."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            count(desk, module, FUNCTIONS[module])
            desk.send()
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(None)
        if over is not None:
            over.set()

    threading.Thread(target=work, name="pocketflex-desk", daemon=True).start()
    return future
