"""Changes as lines that a person reads: ``+`` new, ``~`` changed, ``-`` removed, each with its path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from pocketflex_nb.core.frozen.diff import Difference, compare_values
from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.core.frozen.frozen_tree import MISSING, Frozen
from pocketflex_nb.core.value_text import path_text
from pocketflex_nb.views.text.redaction import SECRET_MASK, redacted
from pocketflex_nb.views.text.safe_text import shown
from pocketflex_nb.views.text.secret_parts import is_hidden_at
from pocketflex_nb.views.values.value_preview import preview

__all__ = ["ChangeLine", "change_lines", "change_text", "compare_lines", "lines_of", "word_changes"]

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
#: words of a text that are compared one by one
_WORDS = 1_000


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One change: its sign (``+``, ``~`` or ``-``), the path as text, and a description. `path` is the path itself."""

    sign: str
    where: str
    text: str
    path: tuple[object, ...] = ()


def compare_lines(old: object, new: object, *, limit: int = 200) -> list[ChangeLine]:
    """The differences from `old` to `new`, plain or frozen values; at most `limit` lines and one that counts the rest."""
    old, new = _frozen(old), _frozen(new)
    return lines_of(compare_values(old, new, limit=limit + 1), limit=limit, within=(old, new))


def lines_of(differences: Iterable[Difference], *, limit: int = 200, within: tuple[object, ...] = ()) -> list[ChangeLine]:
    """Differences, as `Store.diff` gives them, as lines.

    Parameters
    ----------
    within : tuple
        The values that were compared: what is a secret by what stands beside it is hidden, too.
    """
    found = [_line(d.op, d.path, d.old, d.new, within) for d in differences]
    return _bounded(found, limit)


def change_lines(changes: Iterable[Mapping[str, object]], *, limit: int = 200) -> list[ChangeLine]:
    """The changes of a step, as `State.changes` has them (key, op, old, new), as lines."""
    found: list[ChangeLine] = []
    for change in changes:
        path, old, new = (change["key"],), change.get("old", MISSING), change.get("new", MISSING)
        if change.get("op") == "maybe":
            found.append(ChangeLine("~", _where(path), "may have changed: too large to look at", path))
        elif old is MISSING or new is MISSING:
            found.append(_line("added" if old is MISSING else "removed", path, old, new))
        else:
            old, new = _frozen(old), _frozen(new)
            roots = ({path[0]: old}, {path[0]: new})
            found += [_line(d.op, d.path, d.old, d.new, roots) for d in compare_values(old, new, path, limit=limit + 1)]
        if len(found) > limit:
            break
    return _bounded(found, limit)


def change_text(lines: Iterable[ChangeLine]) -> str:
    """Lines as plain text, paths aligned."""
    lines = list(lines)
    room = min(max((len(line.where) for line in lines), default=0), 40)
    return "\n".join(f"{line.sign} {line.where:<{room}}  {line.text}".rstrip() for line in lines)


def word_changes(old: str, new: str) -> list[tuple[str, str]]:
    """A text's change word by word: (sign, piece) with ``" "``, ``+`` or ``-``. Long texts are compared from where they part."""
    before, after = _WORD.findall(old[:20_000])[:_WORDS], _WORD.findall(new[:20_000])[:_WORDS]
    found: list[tuple[str, str]] = []
    for op, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if op == "equal":
            found.append((" ", "".join(before[a:b])))
            continue
        if a < b:
            found.append(("-", "".join(before[a:b])))
        if c < d:
            found.append(("+", "".join(after[c:d])))
    return found


def _frozen(value: object) -> object:
    return value if isinstance(value, Frozen) or value is MISSING else freeze(value)


def _bounded(found: list[ChangeLine], limit: int) -> list[ChangeLine]:
    return [*found[:limit], ChangeLine("…", "", "and more")] if len(found) > limit else found


def _line(op: str, path: tuple[object, ...], old: object, new: object, within: tuple[object, ...] = ()) -> ChangeLine:
    hidden = any(is_hidden_at(root, path) for root in within)
    text = (SECRET_MASK if op != "changed" else f"{SECRET_MASK} (changed)") if hidden else _said(op, path, old, new)
    return ChangeLine(_SIGNS.get(op, "~"), _where(path), text, path)


def _where(path: tuple[object, ...]) -> str:
    """A path as text that is safe to show."""
    return redacted(shown(path_text(path)))


def _said(op: str, path: tuple[object, ...], old: object, new: object) -> str:
    if op == "removed":
        return preview(old, 80, key=path)
    if op == "added":
        return preview(new, 100, key=path)
    before, after = preview(old, 60, key=path), preview(new, 60, key=path)
    if after == SECRET_MASK:
        return f"{SECRET_MASK} (changed)"
    if before == after or (len(before) > 50 and len(after) > 50):
        sizes = [len(v) for v in (old, new) if hasattr(v, "__len__")]
        if len(sizes) == 2:
            unit = "characters" if isinstance(new, str) or type(new).__name__ == "FrozenText" else "items"
            return f"{sizes[0]:,} → {sizes[1]:,} {unit}  {after}"
    return f"{before} → {after}"
