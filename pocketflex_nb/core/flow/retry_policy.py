"""`Retry`: how often a failed attempt is repeated, after how long, and on which errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Retry", "asked_delay"]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often `exec` is tried, and with which pauses.

    Parameters
    ----------
    attempts : int
        Tries in all, the first included.
    wait : float
        Seconds before the second try.
    backoff : float
        Factor from one wait to the next; 1 keeps it constant.
    jitter : float
        Share of each wait that is random: 0.2 waits between 80 % and 120 %.
    max_wait : float
        Upper bound of one wait, seconds.
    on : exception class or tuple of them
        What is retried; anything else goes to `exec_fallback` at once.

    Notes
    -----
    An error with an attribute `retry_after`, in seconds, says when the next try has a chance, as providers do by HTTP's Retry-After: the
    wait is at least that long, and at most `max_wait`.

    Examples
    --------
    >>> [Retry(4, wait=1, backoff=2, max_wait=3).delay(k) for k in range(3)]
    [1.0, 2.0, 3.0]
    >>> Retry(4, wait=1).delay(0, after=20)
    20.0
    """

    attempts: int = 3
    wait: float = 0.0
    backoff: float = 1.0
    jitter: float = 0.0
    max_wait: float = 60.0
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int):
            raise TypeError(f"Retry(attempts={self.attempts!r}): a whole number of tries is needed")
        if self.attempts < 1:
            raise ValueError(f"Retry(attempts={self.attempts!r}): at least 1 try is needed")
        for kind in self.on if isinstance(self.on, tuple) else (self.on,):
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):  # else the first failure would be lost in another
                raise TypeError(f"Retry(on={self.on!r}): an exception class, or a tuple of them, is needed")
        for name in ("wait", "backoff", "jitter", "max_wait"):
            if not isinstance(getattr(self, name), (int, float)):
                raise TypeError(f"Retry({name}={getattr(self, name)!r}): a number is needed")
            if not getattr(self, name) >= 0:
                raise ValueError(f"Retry({name}={getattr(self, name)!r}): must not be negative")
        if self.jitter > 1:
            raise ValueError(f"Retry(jitter={self.jitter!r}): a fraction of the wait, from 0 to 1, is needed")

    def delay(self, failed: int, random: Callable[[], float] | None = None, *, after: float | None = None) -> float:
        """Seconds to wait after one failed attempt.

        Parameters
        ----------
        failed : int
            Number of that try; the first is 0.
        random : callable, optional
            Gives numbers in [0, 1) for the jitter; without it the wait has none.
        after : float, optional
            Seconds that the error asks for.

        Returns
        -------
        float
            At most `max_wait`.
        """
        try:
            wait = min(self.wait * self.backoff**failed, self.max_wait) if self.wait else 0.0
        except OverflowError:
            wait = self.max_wait
        if self.jitter and random is not None:
            wait = min(wait * (1 + self.jitter * (2 * random() - 1)), self.max_wait)
        if after is not None and after > wait:
            wait = min(after, self.max_wait)
        return float(wait)


def asked_delay(error: BaseException) -> float | None:
    """The seconds after which an error asks for the next try, by its attribute `retry_after`; None if it asks for none."""
    after = getattr(error, "retry_after", None)
    return float(after) if isinstance(after, (int, float)) and after > 0 else None
