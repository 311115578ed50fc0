"""A JupyterLab server on loopback: with a token, settings of its own, and nothing that pops up."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from tests.environment import free_port, isolated_jupyter

__all__ = ["LabServer"]

_SETTINGS = {
    # else a question about news covers the page
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    # the default leaves cells that are off the screen unrendered: a test could not see them
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


class LabServer:
    """One running server. `root` is the folder it serves, `base` its address, `token` what opens it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.token = secrets.token_hex(16)
        self.base = f"http://127.0.0.1:{free_port()}"
        self._log = (folder / "server.log").open("w+b")
        env = {**os.environ, **isolated_jupyter(folder)}
        settings = Path(env["JUPYTER_CONFIG_DIR"], "labconfig")
        settings.mkdir()
        (settings / "default_setting_overrides.json").write_text(json.dumps(_SETTINGS), encoding="utf-8")
        self._process = subprocess.Popen(self._command(), env=env, cwd=self.root, stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=subprocess.STDOUT)

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until the server answers; `timeout` in seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.base}/api/status?token={self.token}", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)         # a port cannot be waited for, only asked
        raise RuntimeError(f"JupyterLab did not start:\n{self.log()}")

    def log(self) -> str:
        """What the server and its kernels have written."""
        self._log.flush()
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End the server, its kernels, and whatever they have started."""
        family = psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        _, left = psutil.wait_procs(family, timeout=2)
        for process in left:
            process.kill()
        self._log.close()

    def _command(self) -> list[str]:
        port = self.base.rsplit(":", 1)[1]
        as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        return [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}", "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True", "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", *as_root,
        ]
