"""Parses option values: durations, amounts, expressions and pairs."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from types import ModuleType

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["amount", "duration", "evaluated", "interpolated", "pairs", "split_outside", "whole_number"]


def interpolated(text: str, names: Mapping[str, object], what: str) -> str:
    """The text with ``$name`` and ``{expr}`` filled in as IPython does; ``$$``, ``{{`` and ``}}`` are the signs themselves."""

    def fill(match: re.Match[str]) -> str:
        if match[0] in ("$$", "{{", "}}"):
            return match[0][0]
        return str(_evaluated(match["name"] or match["expr"], names, what))

    return re.sub(r"\$\$|\{\{|\}\}|\$(?P<name>[A-Za-z_]\w*)|\{(?P<expr>[^{}]+)\}", fill, text)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def duration(text: str, what: str) -> float:
    """Seconds of ``20ms``, ``60s``, ``5m``, ``2h``, or a plain number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?", text.strip())
    if match is None or float(match[1]) <= 0:
        raise usage(f"{what} {text!r}: a duration above 0 is needed, such as 20ms, 60s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def amount(text: str, what: str) -> float:
    """A number, with ``k`` for thousands and ``M`` for millions."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", text.strip())
    if match is None:
        raise usage(f"{what} {text!r}: a number is needed, such as 200, 1.5 or 50k")
    number = float(match[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[match[2]]
    return int(number) if number.is_integer() else number


def whole_number(text: str, what: str) -> int:
    """A whole number of at least 1."""
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise usage(f"{what} {text!r}: a whole number of at least 1 is needed")
    return int(text)


def evaluated(text: str, names: Mapping[str, object], what: str) -> object:
    """The value of `text`: ``@expr`` and ``{expr}`` and ``$name`` in the notebook, else a literal, else a name.

    Raises
    ------
    UsageError
        With the nearest name; a text must be quoted.
    """
    text = text.strip()
    if text.startswith("@"):
        return _evaluated(text[1:], names, what)
    if re.fullmatch(r"\$\w+", text):
        return _evaluated(text[1:], names, what)
    try:
        value: object = ast.literal_eval(text)
        return value
    except (ValueError, SyntaxError, TypeError):
        pass
    if text.startswith("{") and text.endswith("}"):
        return _evaluated(text[1:-1], names, what)
    return _evaluated(text, names, what)


def _evaluated(expression: str, names: Mapping[str, object], what: str) -> object:
    try:
        value: object = eval(compile(expression, f"<{what}>", "eval"), dict(names))
        return value
    except NameError as exc:
        name = getattr(exc, "name", None) or expression
        quoted = f"; a text needs quotes: {expression!r}" if name == expression else ""
        near = nearest(name, _visible(names))
        if "did you mean" not in near:  # what is listed then is what could be meant
            near = nearest(name, _data(names))
        raise usage(f"{what}: no name {name!r} in the notebook{near}{quoted}") from None
    except SyntaxError:
        raise usage(f"{what}: {expression!r} is not a Python expression") from None
    except Exception as exc:
        raise usage(f"{what}: {expression!r} raised {type(exc).__name__}: {exc}") from None


def _visible(names: Mapping[str, object]) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def _data(names: Mapping[str, object]) -> list[str]:
    """Names of values: no classes, functions and modules, nor IPython's own."""
    is_data = {name for name, value in names.items() if not callable(value) and not isinstance(value, ModuleType)}
    return [name for name in _visible(names) if name in is_data and name not in ("In", "Out")]


def pairs(text: str, what: str) -> list[tuple[str, str]]:
    """``a=1,b=f(2, 3)`` as pairs; commas inside quotes and brackets do not part."""
    found = []
    for part in _parts(text):
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"\w+", name.strip()):
            raise usage(f"{what} {part.strip()!r}: KEY=VALUE is needed")
        found.append((name.strip(), value))
    return found


def split_outside(text: str, is_between: Callable[[str], bool]) -> tuple[list[str], str]:
    """Split `text` at the signs that `is_between` names, where they stand outside of quotes and brackets.

    Returns
    -------
    list of str, str
        The parts, quotes kept; and the quotation mark that is not closed, ``""`` if none is.
    """
    parts, part, depth, quote = [], "", 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth = max(depth - 1, 0)
        elif is_between(sign) and not depth:
            parts.append(part)
            part = ""
            continue
        part += sign
    return [*parts, part], quote


def _parts(text: str) -> list[str]:
    return [part for part in split_outside(text, ",".__eq__)[0] if part.strip()]
