"""Reads a docstring: what the function does, and what is said about each parameter (numpydoc, Google's style, or ``:param x:``)."""

from __future__ import annotations

import inspect
import re

__all__ = ["read_docstring"]

_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Return|Raises|Yields|Notes?|Examples?|See Also|References|Attributes)\s*:?$")
_RULE = re.compile(r"-{3,}$")
_GOOGLE = re.compile(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_SPHINX = re.compile(r":param\s+(?:[\w\[\], |]+\s)?(\w+):\s*(.*)$")
_OTHER_FIELD = re.compile(r":(?:returns?|rtype|raises|type)\b")


def read_docstring(doc: str | None) -> tuple[str, dict[str, str]]:
    """The description, and what is said about each parameter, by its name.

    Examples
    --------
    >>> read_docstring('''Search the documentation.
    ...
    ... Parameters
    ... ----------
    ... query : str
    ...     What is looked for.
    ... ''')
    ('Search the documentation.', {'query': 'What is looked for.'})
    """
    lines = inspect.cleandoc(doc or "").split("\n")
    told: list[str] = []
    about: dict[str, list[str]] = {}
    section, indent, parameter = "", 0, ""
    for at, line in enumerate(lines):
        text = line.strip()
        is_ruled = at + 1 < len(lines) and bool(_RULE.match(lines[at + 1].strip()))
        if text and not line.startswith(" ") and (is_ruled or (text.endswith(":") and _SECTION.match(text))):
            section, indent, parameter = text.rstrip(":"), -1, ""
        elif _RULE.match(text):
            continue
        elif (field := _SPHINX.match(text)) is not None:
            section, parameter = "", field[1]
            about[parameter] = [field[2]]
        elif _OTHER_FIELD.match(text):
            section, parameter = "other", ""
        elif section in ("Args", "Arguments", "Parameters"):
            depth = len(line) - len(line.lstrip())
            indent = depth if indent < 0 and text else indent
            if text and depth <= indent:
                name, said = _named(text, section)
                parameter = name
                about[parameter] = [said] if said else []
            elif text and parameter:
                about[parameter].append(text)
        elif parameter and text:
            about[parameter].append(text)
        elif not section and not parameter:
            told.append(text)
    return "\n".join(told).strip(), {name: " ".join(texts) for name, texts in about.items() if texts}


def _named(text: str, section: str) -> tuple[str, str]:
    """The parameter of an entry's first line, and what that line says about it."""
    google = _GOOGLE.match(text)
    if google is not None and section != "Parameters":
        return google[1], google[2]
    return text.partition(":")[0].split(",")[0].strip(), ""
