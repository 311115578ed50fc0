"""Rate limits and circuit breakers, shared between nodes and runs, that protect providers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from pocketflex_nb.core.errors import BreakerOpen
from pocketflex_nb.core.wait_marks import waiting

__all__ = ["Breaker", "Limiter"]

#: windows, in seconds, that have a name
_UNITS = {1.0: "s", 60.0: "min", 3600.0: "h", 86_400.0: "d"}


class Limiter:
    """At most `rate` entries per `per` seconds for all who share it: ``with limiter:`` or ``async with limiter:`` around the call.

    Parameters
    ----------
    rate : int
        Entries.
    per : float
        Seconds of the sliding window.
    tokens : int, optional
        Tokens within the same window, as providers limit them. What a call used is known when it is over: `spend` counts it, and entries
        wait while the window holds as many.
    clock : callable, optional
        Monotonic seconds, for tests.

    Notes
    -----
    Entries are let in in the order of asking. The window slides (a log of the last `rate` entries), so no burst at a border lets in
    more than `rate` within any `per` seconds.

    Examples
    --------
    >>> provider = Limiter(3, per=1.0)
    >>> with provider:
    ...     pass
    >>> provider = Limiter(60, per=60, tokens=90_000)
    >>> with provider:
    ...     provider.spend(1_200)
    """

    def __init__(self, rate: int, per: float = 1.0, *, tokens: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if rate < 1 or per <= 0:
            raise ValueError(f"Limiter(rate={rate!r}, per={per!r}): a rate of at least 1 and seconds above 0")
        if tokens is not None and (not isinstance(tokens, (int, float)) or not tokens > 0):
            raise ValueError(f"Limiter(tokens={tokens!r}): a number above 0, or None for no limit")
        self.rate, self.per, self.tokens = rate, per, tokens
        self._clock, self._lock = clock, threading.Lock()
        self._slots: deque[float] = deque(maxlen=rate)
        self._spent: deque[tuple[float, float]] = deque()  # when, and how many tokens; nothing without a limit of them

    def reserve(self) -> float:
        """Reserve the next entry, and return the seconds to wait for it."""
        with self._lock:
            now = self._clock()
            at = now if len(self._slots) < self.rate else max(now, self._slots[0] + self.per)
            self._slots.append(at)
            return at - now

    def spend(self, tokens: float) -> None:
        """Count the tokens that a call has used.

        Parameters
        ----------
        tokens : float
            Their number, both directions.
        """
        if self.tokens is not None and tokens > 0:
            with self._lock:
                self._spent.append((self._clock(), tokens))

    def _token_wait(self) -> float:
        """Seconds until the window holds fewer tokens than it may."""
        if self.tokens is None:
            return 0.0
        with self._lock:
            now = self._clock()
            while self._spent and self._spent[0][0] + self.per <= now:
                self._spent.popleft()
            held, free_at = sum(tokens for _, tokens in self._spent), now
            for when, tokens in self._spent:
                if held < self.tokens:
                    break
                held, free_at = held - tokens, when + self.per
            return free_at - now

    def _waiting(self, seconds: float, most: str) -> waiting:
        return waiting("limiter", f"limiter {most}/{_UNITS.get(self.per, f'{self.per:g} s')}", seconds=seconds)

    def __enter__(self) -> Limiter:
        if (wait := self.reserve()) > 0:
            with self._waiting(wait, f"{self.rate}"):
                time.sleep(wait)
        while (wait := self._token_wait()) > 0:
            with self._waiting(wait, f"{self.tokens:,} tokens"):
                time.sleep(wait)
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    async def __aenter__(self) -> Limiter:
        if (wait := self.reserve()) > 0:
            with self._waiting(wait, f"{self.rate}"):
                await asyncio.sleep(wait)
        while (wait := self._token_wait()) > 0:
            with self._waiting(wait, f"{self.tokens:,} tokens"):
                await asyncio.sleep(wait)
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    def __deepcopy__(self, memo: object) -> Limiter:
        return self  # the provider behind it is the same for the copy of a flow

    def __repr__(self) -> str:
        tokens = "" if self.tokens is None else f", tokens={self.tokens}"
        return f"Limiter({self.rate}, per={self.per:g}{tokens})"


class Breaker:
    """A circuit breaker: after `failures` failures in a row it refuses calls for `reset_after` seconds, then lets one try.

    Parameters
    ----------
    failures : int
        Failures in a row that open it.
    reset_after : float
        Seconds it stays open before one call may try (half open). When that one succeeds it closes, else it opens again.
    on : exception class or tuple of them
        What counts as a failure.
    clock : callable, optional
        Monotonic seconds, for tests.

    Attributes
    ----------
    state : {"closed", "open", "half-open"}

    Raises
    ------
    BreakerOpen
        On entering while it is open, or while another call tries.

    References
    ----------
    M. Nygard, *Release It!*, 2nd ed. 2018, "Circuit Breaker".

    Examples
    --------
    >>> provider = Breaker(failures=3, reset_after=30)
    >>> with provider:
    ...     pass
    >>> provider.state
    'closed'
    """

    def __init__(
        self,
        failures: int = 5,
        reset_after: float = 30.0,
        *,
        on: type[BaseException] | tuple[type[BaseException], ...] = Exception,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1 or reset_after <= 0:
            raise ValueError(f"Breaker(failures={failures!r}, reset_after={reset_after!r}): at least 1 failure and seconds above 0")
        self.failures, self.reset_after = failures, reset_after
        self._on, self._clock, self._lock = on, clock, threading.Lock()
        self._failed = 0
        self._opened: float | None = None
        self._trying = False
        self._era = 0  # counts openings and closings, so that a call that was let in before says nothing about what came after
        self._inside: ContextVar[tuple[int, ...]] = ContextVar("pocketflex_nb_breaker", default=())

    @property
    def state(self) -> str:
        """The state of the breaker: whether calls are admitted."""
        if self._opened is None:
            return "closed"
        return "half-open" if self._trying or self._clock() >= self._opened + self.reset_after else "open"

    def before(self) -> int:
        """Request admission; returns the value to pass to `after`."""
        with self._lock:
            if self._opened is None:
                return self._era
            left = self._opened + self.reset_after - self._clock()
            if left > 0 or self._trying:
                left = max(left, 0.0)
                raise BreakerOpen(
                    f"the circuit is open after {self._failed} failures in a row; it lets one call try in {left:.3g} s", retry_in=left
                )
            self._trying = True
            self._era += 1
            return self._era

    def after(self, error: BaseException | None, era: int) -> None:
        """Report how the call that `before` admitted went. A cancellation says nothing about the provider.

        Parameters
        ----------
        error : BaseException or None
            What the call raised; None when it went well.
        era : int
            What `before` gave.
        """
        with self._lock:
            if era != self._era:
                return
            tried, self._trying = self._trying, False
            if error is None:
                self._failed, self._opened = 0, None
            elif isinstance(error, self._on):
                self._failed += 1
                if tried or self._failed >= self.failures:
                    self._opened = self._clock()
                    self._era += 1

    def __enter__(self) -> Breaker:
        self._inside.set((*self._inside.get(), self.before()))
        return self

    def __deepcopy__(self, memo: object) -> Breaker:
        return self  # the provider behind it is the same for the copy of a flow

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        *outer, era = self._inside.get()
        self._inside.set(tuple(outer))
        self.after(error, era)

    async def __aenter__(self) -> Breaker:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"Breaker(failures={self.failures}, reset_after={self.reset_after:g}, state={self.state!r})"
