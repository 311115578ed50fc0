"""Values as Python source: what a person may edit, and what a cell can begin with."""

from __future__ import annotations

import ast
import pprint

from pocketflex_nb.views.text.safe_text import inert
from pocketflex_nb.views.text.secret_parts import hides, veiled

__all__ = ["LONGEST_SOURCE", "value_source"]

#: characters of a value that is written out
LONGEST_SOURCE = 8_000
_PLAIN = (str, int, float, bool, type(None), list, dict, tuple, set)


def value_source(value: object, key: object = "") -> str | None:
    """`value` as source that gives an equal value; None for what is no plain value, is long, or holds a secret.

    Examples
    --------
    >>> value_source(["sun", 3]), value_source(object()), value_source("x", "api_key")
    ("['sun', 3]", None, None)
    """
    if not isinstance(value, _PLAIN) or hides(key, value):
        return None
    try:
        if isinstance(value, str) and len(value) > LONGEST_SOURCE:
            return None
        text = pprint.pformat(value, width=100, sort_dicts=False, compact=True)
        if len(text) > LONGEST_SOURCE or inert(text) != text or ast.literal_eval(text) != value or veiled(value, key=key) != value:
            return None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return text
