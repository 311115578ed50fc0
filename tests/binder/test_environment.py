"""A fresh environment with exactly what Binder installs: every notebook runs there, in less memory than Binder gives."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import nbclient
import pytest
from packaging.requirements import Requirement

from tests.binder.memory import Peak
from tests.binder.place import kernelspec
from tests.environment import isolated_jupyter
from tests.notebooks.notebook_files import notebooks, read

#: megabytes; Binder promises 1 GB for the kernel and JupyterLab's server, which alone holds about 100
MOST = 700


@pytest.mark.timeout(1200)
def test_binder_installs_the_package_and_every_pin(binder_python: Path, repository: Path) -> None:
    listed = subprocess.run([binder_python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True, timeout=60)
    installed = {entry["name"].lower().replace("_", "-"): entry["version"] for entry in json.loads(listed.stdout)}
    lines = (repository / "binder/requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]

    missing = [str(one) for one in wanted if (one.marker is None or one.marker.evaluate()) and not _is_met(one, installed)]
    where = subprocess.run(
        [binder_python, "-I", "-c", "import pocketflex_nb; print(pocketflex_nb.__file__)"],
        cwd=binder_python.parent, capture_output=True, text=True, check=True, timeout=60,
    )

    assert missing == []
    assert "site-packages" in where.stdout
    assert subprocess.run([binder_python, "-m", "pip", "check"], check=False, timeout=60).returncode == 0


def test_binders_start_says_that_there_is_no_provider(binder_python: Path, repository: Path) -> None:
    command = [repository / "binder/start", binder_python, "-c", "import os; print(os.environ['POCKETFLEX_OFFLINE'])"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stdout) == (0, "1\n")


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
@pytest.mark.timeout(1200)
def test_a_notebook_runs_in_binders_environment_and_memory(
    path: Path, binder_python: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    record_property: pytest.RecordProperty,
) -> None:
    for name, value in isolated_jupyter(tmp_path / "settings").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspec(binder_python, repository, tmp_path / "jupyter")))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    client = nbclient.NotebookClient(read(path), timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})

    with client.setup_kernel(), Peak(client.km.provisioner.pid) as peak:
        for index, cell in enumerate(client.nb.cells):
            client.execute_cell(cell, index)

    record_property("peak_megabytes", round(peak.megabytes))
    print(f"{path.stem}: {peak.megabytes:.0f} MB at most")
    assert 30 < peak.megabytes < MOST


def _is_met(wanted: Requirement, installed: dict[str, str]) -> bool:
    version = installed.get(wanted.name.lower())
    return version is not None and wanted.specifier.contains(version, prereleases=True)
