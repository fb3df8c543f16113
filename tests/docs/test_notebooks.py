"""The notebooks run, and show what is stored in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.pages import DOCS

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def shown(notebook: Any) -> list[list[str]]:
    """What each cell gives: the kinds of its outputs, warnings left out."""
    return [
        [
            kind
            for output in cell.get("outputs", [])
            if output.get("name") != "stderr"
            for kind in sorted(output.get("data", {"text": None}))
            if kind != "image/jpeg"  # Pillow gives both
        ]
        for cell in notebook.cells
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_the_same(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    NotebookClient(fresh, timeout=300, kernel_name="python3", resources=place).execute()
    assert shown(fresh) == shown(stored)
    assert sum("image/png" in kinds for kinds in shown(stored)) >= 2
