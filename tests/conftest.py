"""What holds for every test: nobody's own Jupyter settings, and no property test that fails because the machine is busy."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tests.machine import isolated_jupyter

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)

_FOLDER: pytest.StashKey[Path] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FOLDER] = folder = Path(tempfile.mkdtemp(prefix="pfx-tests-"))
    os.environ.update(isolated_jupyter(folder))
    hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)
