"""Which package do the notebooks run? The one a user gets: a wheel built from this checkout, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.environment import ROOT

__all__ = ["build_wheel", "install_wheel"]

_OFFLINE = """\
import ipaddress, sys

def is_near(host):
    try:
        return not host or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def refuse(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if not is_near(host):
        raise OSError(f"notebooks run offline: {host}")

sys.addaudithook(refuse)
"""


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
    read: a checkout installed with ``-e`` in the running environment stays out, and what the wheel lacks is missing. Its Python
    refuses to speak to any other machine.
    """
    venv.create(folder, symlinks=sys.platform != "win32", with_pip=False)
    own = Path(sysconfig.get_path("purelib", scheme="venv", vars={"base": str(folder), "platbase": str(folder)}))
    running = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (own / "_behind.pth").write_text("\n".join(running) + "\n", encoding="utf-8")
    (own / "_offline.py").write_text(_OFFLINE, encoding="utf-8")
    (own / "_offline.pth").write_text("import _offline\n", encoding="utf-8")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the wheel could not be installed:\n{done.stderr}")
    return python
