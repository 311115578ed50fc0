"""What holds for every test: nobody's own Jupyter settings, and no property test that fails because the machine is busy."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tests.environment import ROOT, isolated_jupyter

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)

#: folders whose tests wait for other processes: kernels, servers, browsers, on a machine that has other work to do. One that fails is
#: run once more; a rerun is no pass in silence: the summary counts it and shows its traceback, and it is a defect until it is explained
_OUTSIDE = ("agents", "binder", "kernel", "models", "notebook", "notebooks", "resources", "ui")

_FOLDER: pytest.StashKey[Path] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FOLDER] = folder = Path(tempfile.mkdtemp(prefix="pfx-tests-"))
    os.environ.update(isolated_jupyter(folder))
    hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if gets_second_try(item.path):
                item.add_marker(pytest.mark.flaky(reruns=1))


def gets_second_try(path: str | Path) -> bool:
    """Whether the tests of this file wait for other processes."""
    return any(Path(path).is_relative_to(ROOT / "tests" / name) for name in _OUTSIDE)
