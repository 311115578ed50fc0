"""The reader's progress, kept in a small JSON file in the user's data folder, or in memory where no file can be written."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["PLACE", "Kept", "clear", "keeps_on_disk", "place", "read", "save"]

#: the environment variable that names another file
PLACE = "POCKETFLEX_PROGRESS"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """The saved progress of one exercise: whether it was solved, how many answers were checked, how many hints were shown."""

    solved: bool = False
    tries: int = 0
    hints: int = 0


_memory: dict[str, Kept] = {}
_unwritten = False


def place() -> Path:
    """The file: ``$POCKETFLEX_PROGRESS``, else ``pocketflex_nb/progress.json`` in the user's data folder."""
    if named := os.environ.get(PLACE):
        return Path(named)
    return _data_folder() / "pocketflex_nb" / "progress.json"


def _data_folder() -> Path:
    if named := os.environ.get("XDG_DATA_HOME"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or "~").expanduser()
    if sys.platform == "darwin":
        return Path("~/Library/Application Support").expanduser()
    return Path("~/.local/share").expanduser()


def read() -> dict[str, Kept]:
    """The saved progress, by exercise number; empty where there is no file, or an unreadable one."""
    return {**_on_disk(), **_memory} if _unwritten else _on_disk()


def save(number: str, change: Callable[[Kept], Kept]) -> Kept:
    """Change the saved progress of exercise `number`; never raises because of the disk."""
    known = read()      # anew each time: another notebook may have written meanwhile
    known[number] = change(known.get(number, Kept()))
    _write(known)
    return known[number]


def clear(lesson: str | None = None) -> None:
    """Forget all, or all of one lesson."""
    _write({number: kept for number, kept in read().items() if lesson is not None and not number.startswith(f"{lesson}.")})


def keeps_on_disk() -> bool:
    """Whether the last change reached the disk; else it lasts as long as this kernel."""
    return not _unwritten


def _on_disk() -> dict[str, Kept]:
    try:
        told = json.loads(place().read_text(encoding="utf-8"))["exercises"]
        return {str(number): _kept(facts) for number, facts in told.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError):  # RuntimeError: no home folder is known
        return {}


def _kept(facts: dict[str, Any]) -> Kept:
    return replace(Kept(), solved=bool(facts.get("solved")), tries=int(facts.get("tries", 0)), hints=int(facts.get("hints", 0)))


def _write(known: dict[str, Kept]) -> None:
    global _unwritten
    text = json.dumps({"format": _FORMAT, "exercises": {number: asdict(kept) for number, kept in sorted(known.items())}}, indent=1)
    try:
        path = place()
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
        _unwritten = False
        _memory.clear()
    except (OSError, RuntimeError):
        _unwritten = True
        _memory.clear()
        _memory.update(known)


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename, so that a reader sees the old text or the new, and never half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".progress-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
