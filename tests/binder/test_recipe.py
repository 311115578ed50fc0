"""What repo2docker, which Binder runs, reads out of `binder/`: the Dockerfile's steps, and their order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import need


@pytest.fixture(scope="module")
def dockerfile(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What repo2docker would build; it needs no container engine for that."""
    program = shutil.which("jupyter-repo2docker", path=str(Path(sys.executable).parent))
    need(program, "repo2docker", "pip install jupyter-repo2docker")
    command = [str(program), "--no-build", "--debug", str(repository)]
    folder = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_image_is_ubuntu_with_binders_python(dockerfile: str) -> None:
    assert re.search(r"^FROM docker\.io/library/buildpack-deps:\d\d\.04$", dockerfile, re.MULTILINE)
    assert "Building conda environment for python=3.13" in dockerfile


def test_graphviz_comes_from_apt_and_the_rest_by_pip(dockerfile: str) -> None:
    apt = re.findall(r"^apt-get install --yes --no-install-recommends (.*) && \\$", dockerfile, re.MULTILINE)
    pip = re.findall(r"^RUN \S+/bin/pip install (.*)$", dockerfile, re.MULTILINE)

    assert apt == ["graphviz"]
    assert pip == ['--no-cache-dir -r "binder/requirements.txt"']


def test_packages_are_installed_before_the_repository_is_copied(dockerfile: str) -> None:
    """So Binder keeps that layer from one commit to the next; a local path in the requirements would turn this around."""
    steps = [
        "COPY --chown=0:0 src/binder/requirements.txt", '-r "binder/requirements.txt"', "COPY --chown=0:0 src/ ", "RUN ./binder/postBuild",
        'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"', "ENTRYPOINT ",
    ]

    places = [dockerfile.find(step) for step in steps]

    assert -1 not in places, dict(zip(steps, places, strict=True))
    assert places == sorted(places)


def test_post_build_is_not_run_as_root(dockerfile: str) -> None:
    before = dockerfile[: dockerfile.index("RUN ./binder/postBuild")]

    assert re.findall(r"^USER (.*)$", before, re.MULTILINE)[-1] == "${NB_USER}"
