"""Which notebooks are there, and which of them keep their outputs?"""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.environment import ROOT

__all__ = ["is_strict", "notebooks", "read", "strict_notebooks"]

FOLDER = ROOT / "notebooks"


def notebooks() -> list[Path]:
    """Every notebook of the project, in order."""
    return sorted(path for path in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def strict_notebooks() -> list[Path]:
    """The notebooks whose outputs are kept and compared: those with ``{"pocketflex": {"strict": true}}`` in their metadata."""
    return [path for path in notebooks() if is_strict(path)]


def is_strict(path: Path) -> bool:
    """Whether the notebook's outputs are kept in git and compared by nbval."""
    return bool(read(path).metadata.get("pocketflex", {}).get("strict"))


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook at `path`, checked against its format."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook
