"""What Binder makes of this repository, made here: its files, an environment with its packages, and a kernel in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from pathlib import Path

from tests.environment import ROOT

__all__ = ["checkout", "install", "kernelspec"]


def checkout(folder: Path) -> Path:
    """The files that git keeps, as they are in the checkout now, copied into `folder`: what Binder clones."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def install(repository: Path, folder: Path) -> Path:
    """Make an environment in `folder` by Binder's two steps, ``requirements.txt`` and then ``postBuild``; return its Python."""
    venv.create(folder, symlinks=True, with_pip=True)
    python = folder / "bin/python"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env = {**clean, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(folder)}
    steps = [[str(python), "-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt"], ["./binder/postBuild"]]
    for step in steps:
        done = subprocess.run(step, cwd=repository, env=env, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            raise RuntimeError(f"{' '.join(step)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return python


def kernelspec(python: Path, repository: Path, folder: Path) -> Path:
    """Write a kernelspec ``python3`` into `folder` that starts `python` by ``binder/start``; return what JUPYTER_PATH is to name."""
    place = folder / "kernels/python3"
    place.mkdir(parents=True)
    argv = [str(repository / "binder/start"), str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    place.joinpath("kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Binder", "language": "python"}), encoding="utf-8")
    return folder
