"""Numbers as people read them: durations in units, counts with their noun."""

from __future__ import annotations

__all__ = ["count_text", "duration_text"]


def duration_text(seconds: float) -> str:
    """A duration with the unit that fits it.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str

    Examples
    --------
    >>> [duration_text(seconds) for seconds in (0, 0.0000042, 0.0123, 0.25, 12.34, 75, 3725, 200_000)]
    ['0 s', '4 µs', '12 ms', '250 ms', '12.3 s', '1 min 15 s', '1 h 2 min', '2 d 7 h']
    """
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs" if seconds >= 5e-7 else "0 s"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms" if seconds < 0.00995 else f"{seconds * 1e3:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, name, part, part_name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // part} {part_name}"
    return f"{whole} s"


def count_text(number: float, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1.

    Parameters
    ----------
    number : float
    noun : str
        In the singular; its plural ends in ``s``, ``ies`` or ``es``.

    Returns
    -------
    str

    Examples
    --------
    >>> count_text(1, "step"), count_text(1234, "token"), count_text(2, "retry"), count_text(0, "branch")
    ('1 step', '1,234 tokens', '2 retries', '0 branches')
    """
    if number == 1:
        return f"1 {noun}"
    plural = noun[:-1] + "ies" if noun.endswith("ry") else noun + ("es" if noun.endswith("ch") else "s")
    return f"{number:,.10g} {plural}" if isinstance(number, float) else f"{number:,} {plural}"
