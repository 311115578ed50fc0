"""What works in Pyodide, JupyterLite's Python: what the README says of it. Node and npm's `pyodide` have to be there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.environment import ROOT

HERE = Path(__file__).resolve().parent
NODES = """
import pocketflex_nb
from pocketflex_nb import Flow, Node, Store

class Greet(Node):
    def prep(self, shared): return shared["who"]
    def exec(self, who): return f"hello {who}"
    def post(self, shared, prep_res, exec_res): shared["greeting"] = exec_res

class Wait(Greet):
    async def exec(self, who): return f"welcome {who}"
"""


@pytest.fixture
def pyodide() -> Path:
    """The folder of npm's `pyodide` package, which POCKETFLEX_PYODIDE names."""
    folder = Path(os.environ.get("POCKETFLEX_PYODIDE", ""))
    if not shutil.which("node") or not (folder / "pyodide.mjs").exists():
        pytest.skip("Pyodide is missing; get it by: npm install pyodide && export POCKETFLEX_PYODIDE=$PWD/node_modules/pyodide")
    return folder


def _printed(pyodide: Path, code: str, folder: Path) -> str:
    script = folder / "script.py"
    script.write_text(NODES + code, encoding="utf-8")
    command = ["node", str(HERE / "run.mjs"), str(pyodide), str(ROOT / "pocketflex_nb"), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(180)
def test_plain_flows_run_and_their_stores_remember(pyodide: Path, tmp_path: Path) -> None:
    code = 'Flow(Greet()).run(store := Store({"who": "you"}))\nprint(store["greeting"], store.who("greeting") is not None)'

    assert _printed(pyodide, code, tmp_path) == "hello you True\n"


@pytest.mark.timeout(180)
def test_async_flows_are_awaited(pyodide: Path, tmp_path: Path) -> None:
    code = 'await Flow(Wait()).run_async(store := {"who": "you"})\nprint(store["greeting"])'

    assert _printed(pyodide, code, tmp_path) == "welcome you\n"


@pytest.mark.timeout(180)
def test_flows_are_drawn(pyodide: Path, tmp_path: Path) -> None:
    code = 'flow = Flow(Greet(), name="hall")\nprint(flow.to_mermaid().splitlines()[0], flow.to_svg()[:4])'

    assert _printed(pyodide, code, tmp_path) == "flowchart LR <svg\n"


@pytest.mark.timeout(180)
def test_launch_needs_what_pyodide_does_not_have(pyodide: Path, tmp_path: Path) -> None:
    """When this fails, the README may promise more."""
    code = 'try:\n    Flow(Greet()).launch({}, show=False)\nexcept (OSError, RuntimeError) as error:\n    print("refused")'

    assert _printed(pyodide, code, tmp_path) == "refused\n"
