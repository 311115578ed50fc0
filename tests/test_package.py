"""What a user gets: a wheel with everything in it, metadata that is true, and a README whose lines work."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pocketflex_nb
from tests.environment import ROOT, need
from tests.test_rooms import all_imports, is_foreign
from tests.wheel import build_wheel

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: per module of the public interface, the names that it exported before the files moved into folders
EXPORTED = json.loads((ROOT / "tests/exported_names.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPENS_LAB = "python3 -m venv .venv && .venv/bin/pip install -e '.[lab]' && .venv/bin/jupyter lab notebooks/00_tour.ipynb"
RUNS_TESTS = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m tests"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    with zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("dist"))) as opened:
        yield opened


@pytest.mark.timeout(300)
def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pocketflex_nb").rglob("*") if _is_shipped(path)}

    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert packed == names
    assert "pocketflex_nb/py.typed" in packed


def _is_shipped(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


@pytest.mark.parametrize("module", EXPORTED)
def test_every_name_that_was_exported_still_is(module: str) -> None:
    found = importlib.import_module(module)

    assert set(EXPORTED[module].split()) <= set(found.__all__)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


def test_every_style_stands_beside_its_widget() -> None:
    """One stem each; a `.css` whose `.py` is gone is left over. Of scripts, tests/notebook/widgets/base/test_js_bundle.py does."""
    assert {path.name for path in (ROOT / "pocketflex_nb").rglob("*.css") if not path.with_suffix(".py").exists()} == set()


def test_the_version_is_one_and_the_changelog_speaks_of_it(wheel: zipfile.ZipFile) -> None:
    metadata = next(wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"\nVersion: {pocketflex_nb.__version__}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata
    assert re.search(rf"^## \[({re.escape(pocketflex_nb.__version__)}|Unreleased)\]", changelog, re.MULTILINE)


def test_every_dependency_says_why_it_is_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("\ndependencies = [\n")[1].split("\n]")[0].splitlines()

    assert [line for line in lines if "#" not in line] == []
    assert len(lines) == len(PROJECT["project"]["dependencies"])


#: declared although no module imports them: the programs that a notebook is opened with, and the base of anywidget in the version needed
NOT_IMPORTED = {"jupyterlab", "notebook", "ipykernel"}


def test_declared_dependencies_are_exactly_those_imported() -> None:
    project, known = PROJECT["project"], packages_distributions()
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "test" for line in lines]
    declared = {canonicalize_name(Requirement(line).name) for line in [*project["dependencies"], *extras]} - {project["name"]}

    packages = {found.target.split(".")[0] for found in all_imports() if is_foreign(found.target)}
    imported = {canonicalize_name(known.get(package, [package])[0]) for package in packages}

    assert imported - declared == set(), "imported, and not declared"
    assert declared - imported == NOT_IMPORTED, "declared, and not imported"


def test_what_is_imported_only_on_demand_stands_in_an_extra_of_its_room() -> None:
    """A server's client, pandas and cloudpickle are no dependencies of everybody: one who needs none installs none."""
    required = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}

    assert required & {"redis", "psycopg", "aio-pika", "pandas", "cloudpickle", "ipykernel", "jupyterlab", "notebook"} == set()


def test_the_readme_gives_the_two_commands_and_ci_runs_the_second() -> None:
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")

    assert f"\n{OPENS_LAB}\n" in README
    assert f"\n{RUNS_TESTS}\n" in README
    assert f"\n{RUNS_TESTS}\n" in ci


def test_the_readmes_python_runs_when_pasted(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert blocks

    for block in blocks:
        script = tmp_path / "pasted.py"
        script.write_text(block, encoding="utf-8")
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=30,
                              env={**_environment(), "PYTHONWARNINGS": "error"})
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_what_the_readme_links_to_is_there() -> None:
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", README) + re.findall(r'src="(?!https?://)([^"]+)"', README)

    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_readmes_links_to_binder_are_those_of_the_notebooks() -> None:
    """Written by `python binder/links.py`, which takes the repository from its one place in pyproject.toml."""
    place = PROJECT["tool"]["pocketflex_nb"]
    found = re.findall(r"https://mybinder\.org/v2/gh/([^/]+/[^/]+)/([^?]+)\?urlpath=lab/tree/(notebooks/[^)]+)", README)

    assert {(repository, ref) for repository, ref, _ in found} == {(place["repository"], place["ref"])}
    assert "notebooks/00_tour.ipynb" in {notebook for *_, notebook in found}
    assert [notebook for *_, notebook in found if not (ROOT / notebook).is_file()] == []


@pytest.mark.timeout(300)
def test_what_would_be_uploaded_is_accepted(tmp_path: Path) -> None:
    """The wheel is built from the unpacked sdist, as `python -m build` does: the sdist has all that it needs."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert built.returncode == 0, built.stdout + built.stderr
    files = sorted(tmp_path.iterdir())

    checked = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], capture_output=True, text=True,
                             check=False, timeout=60)

    assert [path.name.removeprefix(f"pocketflex_nb-{pocketflex_nb.__version__}") for path in files] == ["-py3-none-any.whl", ".tar.gz"]
    assert checked.returncode == 0, checked.stdout
    with tarfile.open(files[1]) as sdist:
        packed = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "notebooks/00_tour.ipynb", "binder/postBuild"} <= packed
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "pocketflex_nb").rglob("*") if _is_shipped(path)} <= packed


def test_binder_installs_what_the_package_depends_on() -> None:
    lines = (ROOT / "binder/requirements.txt").read_text(encoding="utf-8").splitlines()
    installed = {Requirement(line).name for line in lines if line and not line.startswith("#")}
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    found = [Requirement(line) for line in project["dependencies"] + extras["lab"]]
    found += [Requirement(line) for one in found if one.name == project["name"] for extra in one.extras for line in extras[extra]]

    assert {one.name for one in found} - installed == {project["name"]}


@pytest.mark.parametrize("script", ["postBuild", "start"])
def test_binders_scripts_can_be_run(script: str) -> None:
    path = ROOT / "binder" / script

    assert path.stat().st_mode & 0o111, "not executable"
    assert path.read_bytes().startswith(b"#!/bin/bash\n")
    assert b"\r" not in path.read_bytes()
    subprocess.run(["bash", "-n", path], check=True, timeout=10)


def test_pocketflow_conformance() -> None:
    """What PocketFlow programs can observe, as checked beside the checkout."""
    checks = ROOT.parent / "shared/checks/pocketflow_conformance.py"
    if not checks.exists():
        pytest.skip("the conformance checks are not beside this checkout")

    done = subprocess.run([sys.executable, checks, "pocketflex_nb.pocketflow"], capture_output=True, text=True, check=False,
                          timeout=60, env=_environment())

    assert done.stdout.splitlines()[-1:] == ["pocketflex_nb.pocketflow: 54 passed, 0 failed"], done.stderr


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    need((ROOT / ".git").exists(), "the git checkout", "cloning the repository")
    pattern = "/(work|root|home|tmp)/[a-z.]|/Users/[a-z]"
    command = ["git", "grep", "-nIE", pattern, "--", ".", ":!tests/test_package.py"]

    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert found.stdout == ""


def _environment() -> dict[str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
