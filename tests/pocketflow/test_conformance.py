"""The checks of PocketFlow's semantics that stand beside the checkout, run from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT.parent / "shared" / "checks" / "pocketflow_conformance.py"


@pytest.mark.skipif(not CHECKS.exists(), reason="the checks stand in ../shared/checks, beside the checkout; it is not there")
def test_every_semantic_that_pocketflow_programs_rely_on_holds() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    done = subprocess.run(
        [sys.executable, str(CHECKS), "pocketflex_nb.pocketflow"], env=env, capture_output=True, text=True, timeout=50, check=False
    )

    assert "pocketflex_nb.pocketflow: 54 passed, 0 failed" in done.stdout, done.stdout + done.stderr


def test_the_module_exports_pocketflows_eleven_names_and_no_more() -> None:
    import pocketflow

    from pocketflex_nb import pocketflow as ours

    theirs = {name for name, thing in vars(pocketflow).items() if isinstance(thing, type) and not name.startswith("_")}
    assert set(ours.__all__) == theirs
    assert len(theirs) == 11
