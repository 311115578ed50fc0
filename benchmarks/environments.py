"""Where do the peers live? In environments of their own beside this file, made once with this Python and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["PEERS", "ensure", "python_of"]

HERE = Path(__file__).resolve().parent
#: environment to what it holds; pydantic-graph's first major is the quicker one, and cannot live beside the second
PEERS = {
    "venv": [
        "pocketflow", "langgraph", "burr", "pydantic-graph>=2", "llama-index-workflows", "ipykernel",
        # what `import pocketflex_nb.notebook` needs
        "ipywidgets", "anywidget", "graphviz", "nest-asyncio2",
    ],
    "venv-pg1": ["pydantic-graph<2"],
    # what keeps runs in a file
    "venv-journal": ["langgraph", "langgraph-checkpoint-sqlite", "burr", "dbos"],
    # the client of models, and what a launch in a script imports
    "venv-llm": ["openai"],
    # clients of servers; the servers are started by the tests' own starters, which import pytest
    "venv-servers": ["redis", "psycopg", "psycopg-binary", "aio-pika", "pytest", "psutil"],
}


def python_of(venv: str) -> Path:
    """The interpreter of an environment."""
    return HERE / venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure(venv: str) -> None:
    """Make the environment unless it is there, whole and of this Python."""
    done = HERE / venv / "made-of"
    made_of = "\n".join([sys.version, *PEERS[venv]])
    if done.exists() and done.read_text() == made_of:
        return
    print(f"making benchmarks/{venv} for {', '.join(PEERS[venv])} ...", flush=True)
    shutil.rmtree(HERE / venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", HERE / venv], check=True)
    subprocess.run([python_of(venv), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[venv]], check=True)
    done.write_text(made_of)


def versions(venv: str) -> dict[str, str]:
    """Distribution to version, of the packages that were asked for."""
    names = [name.split(">")[0].split("<")[0] for name in PEERS[venv]]
    code = (
        "import sys, importlib.metadata as m\n"
        "for n in sys.argv[1:]: print(n, m.version(n))"
    )
    told = subprocess.run([python_of(venv), "-c", code, *names], check=True, capture_output=True, text=True).stdout
    return dict(line.split() for line in told.splitlines())
