"""The package itself: its types, its version, its documentation."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import flair_scoring as fs
import pytest

HERE = Path(__file__).parent.parent


def test_the_examples_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for results in (doctest.testmod(fs), doctest.testfile(str(HERE / "README.md"), module_relative=False)):
        assert results.attempted > 0
        assert results.failed == 0


def test_it_is_typed() -> None:
    pytest.importorskip("mypy")
    package = Path(fs.__file__).parent
    assert (package / "py.typed").exists()
    source = HERE / "python"
    for command in (
        ["mypy", "--config-file", HERE / "pyproject.toml", source / "flair_scoring"],
        # The stub against the library itself.
        ["mypy.stubtest", "flair_scoring._native", "--ignore-disjoint-bases"],
    ):
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_everything_public_is_documented() -> None:
    for name in fs.__all__:
        thing = getattr(fs, name)
        assert name == "__version__" or thing.__doc__, name


def test_the_version_is_that_of_the_workspace() -> None:
    manifest = HERE.parent.parent / "Cargo.toml"
    found = re.search(r'^\[workspace\.package\]\nversion = "(.*)"', manifest.read_text(), re.MULTILINE)
    assert found is not None and fs.__version__ == found[1]
