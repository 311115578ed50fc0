"""What does a test want of the machine it runs on? A program, a free port, settings that are nobody's."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

__all__ = ["ROOT", "free_port", "isolated_jupyter", "need", "on_ci"]

#: the checkout
ROOT = Path(__file__).resolve().parent.parent


def on_ci() -> bool:
    """Whether this is a CI run, where nothing may be missing."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def need(present: object, what: str, how: str) -> None:
    """Skip the test unless `present`, saying how to get `what`; under ``CI=true`` fail it instead."""
    if present:
        return
    message = f"{what} is missing; get it by: {how}"
    if on_ci():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_port() -> int:
    """A TCP port of the loopback address on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def isolated_jupyter(folder: Path) -> dict[str, str]:
    """Environment variables that keep Jupyter and IPython away from the person's own settings, into `folder`."""
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "lab-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "lab-workspaces",
        "IPYTHONDIR": "ipython",
    }
    for place in places.values():
        (folder / place).mkdir(parents=True, exist_ok=True)
    variables = {name: str(folder / place) for name, place in places.items()}
    # else every start warns that paths will move; and a kernel without this says that a debugger may miss breakpoints
    # and what is solved in a test is not the person's own progress
    variables["POCKETFLEX_PROGRESS"] = str(folder / "progress.json")
    return variables | {"JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
