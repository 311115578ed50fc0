"""Binder's environment is made once for all of these tests; see the stage `binder` of `tests/__main__.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.binder.place import checkout, install
from tests.environment import ROOT, need, on_ci


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Binder clones."""
    need((ROOT / ".git").exists(), "the git checkout", "cloning the repository")
    return checkout(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="session")
def binder_python(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds what Binder installs, and nothing else."""
    if os.environ.get("PIP_NO_INDEX") and not on_ci():
        pytest.skip("no package index: PIP_NO_INDEX is set")
    return install(repository, tmp_path_factory.mktemp("binder") / "env")
