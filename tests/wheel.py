"""Which package do the notebooks run? The one a user gets: a wheel built from this checkout, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.machine import ROOT

__all__ = ["build_wheel", "install_wheel"]


def build_wheel(folder: Path) -> Path:
    """Build this checkout's wheel into `folder`, without asking the network."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the wheel could not be built:\n{done.stdout}\n{done.stderr}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Make an environment in `folder` that holds `wheel`, and all else from the running one; return its Python.

    The running environment stands behind it by a line in a ``.pth`` file. Such a file in a folder that was itself added so is not
    read: a checkout installed with ``-e`` in the running environment stays out, and what the wheel lacks is missing.
    """
    venv.create(folder, symlinks=sys.platform != "win32", with_pip=False)
    own = Path(sysconfig.get_path("purelib", scheme="venv", vars={"base": str(folder), "platbase": str(folder)}))
    running = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (own / "_behind.pth").write_text("\n".join(running) + "\n", encoding="utf-8")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, timeout=300)
    return python
