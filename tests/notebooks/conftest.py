"""Notebooks run against the installed wheel, with no way out of the machine; see the stage `notebooks` of `tests/__main__.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def wheel_env() -> Path:
    """The environment that holds the wheel and nothing else of this project."""
    folder = os.environ.get("POCKETFLEX_WHEEL_ENV")
    if not folder:
        pytest.skip("no installed wheel; get it by: python -m tests notebooks")
    return Path(folder)
