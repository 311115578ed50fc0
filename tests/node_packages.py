"""The npm packages that tests use: pinned in `tests/js/package.json`, installed outside the repository once for each version of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.environment import ROOT, need

__all__ = ["node_packages"]

_PINS = ROOT / "tests" / "js" / "package.json"


@cache
def node_packages() -> Path:
    """The folder `node_modules` with the pinned packages, installed unless it is there."""
    need(shutil.which("node") and shutil.which("npm"), "Node", "apt-get install nodejs npm")
    pins = _PINS.read_bytes()
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pocketflex_nb")
    folder = store / f"js-{hashlib.sha256(pins).hexdigest()[:12]}"
    if not (folder / "node_modules").is_dir():
        started = folder.with_name(f"{folder.name}.{os.getpid()}")       # moved into place when it is whole
        started.mkdir(parents=True)
        (started / "package.json").write_bytes(pins)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
        done = subprocess.run(command, cwd=started, capture_output=True, text=True, check=False, timeout=280)
        told = (done.stderr or done.stdout)[-500:].strip()
        need(done.returncode == 0, f"what npm installs ({told})", "a network that reaches npm's registry")
        if not folder.exists():
            started.rename(folder)
    return folder / "node_modules"
