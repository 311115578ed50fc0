"""What options of nodes, flows and launches may be: each check raises with the option's name, its value and the mend."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["check_concurrency", "check_limits", "check_on_error", "check_seconds", "checked_name"]


def checked_name(what: str, name: str) -> str:
    """The name given to a node; raises unless it is a non-empty text."""
    if not isinstance(name, str):
        raise TypeError(f"{what}(name={name!r}): a string is needed")
    if not name.strip():
        raise ValueError(f"{what}(name={name!r}): a non-blank string is needed, or None for the class name")
    return name


def check_concurrency(what: str, limit: int | None) -> None:
    """Raise ValueError unless `limit` is None or at least 1."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ValueError(f"{what}(max_concurrency={limit!r}): a whole number of at least 1, or None for no limit")


def check_seconds(what: str, timeout: float | None) -> None:
    """Raise unless `timeout` is None or a number of seconds above 0."""
    if timeout is None:
        return
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"{what}(timeout={timeout!r}): a number of seconds is needed, or None for no limit")
    if not timeout > 0:
        raise ValueError(f"{what}(timeout={timeout!r}): seconds above 0, or None for no limit")


def check_on_error(what: str, on_error: str) -> None:
    """Raise ValueError unless `on_error` is one of the two valid values."""
    if on_error not in ("raise", "collect"):
        raise ValueError(f"{what}(on_error={on_error!r}): 'raise' or 'collect'")


def check_limits(what: str, max_steps: int | None, timeout: float | None, budget: Mapping[str, float] | None) -> None:
    """Raise ValueError for an invalid limit."""
    if max_steps is not None and (not isinstance(max_steps, int) or max_steps < 1):
        raise ValueError(f"{what}(max_steps={max_steps!r}): a whole number of at least 1, or None for no limit")
    check_seconds(what, timeout)
    _check_budget(budget)


def _check_budget(budget: Mapping[str, float] | None) -> None:
    """Raise ValueError for a budget of an unknown kind or without a positive amount."""
    if budget is None:
        return
    if not isinstance(budget, Mapping):
        raise TypeError(f"budget={budget!r}: a mapping is needed, such as {{'steps': 100, 'cost': 0.5}}")
    for what, amount in budget.items():
        if what not in ("steps", "seconds", "tokens", "cost"):
            raise ValueError(f"budget: {what!r} is not counted; known: 'steps', 'seconds', 'tokens', 'cost'")
        if not isinstance(amount, (int, float)) or not amount > 0:
            raise ValueError(f"budget: {what}={amount!r} must be a number above 0")
