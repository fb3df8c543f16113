"""Rules that hold for every file of the three packages."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("unisem", "langchain_unisem", "llama_index_unisem")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "sklearn")
MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
    if not module.name.endswith("__main__")
)


def imported_names(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_unpickles_or_trusts_remote_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not imported_names(ast.parse(text)) & {"pickle", "dill", "cloudpickle", "shelve"}
    for phrase in ("torch.load(", "trust_remote_code=True", "allow_pickle=True", "eval(compile"):
        assert phrase not in text


def test_the_core_knows_no_framework() -> None:
    for path in SOURCES:
        inside = path.relative_to(ROOT).parts
        if inside[0] == "unisem" and inside[1] != "cli":
            names = imported_names(ast.parse(path.read_text(encoding="utf-8")))
            assert not {n for n in names if n.startswith(("langchain", "llama_index"))}, path


@pytest.mark.parametrize("module", PACKAGES)
def test_importing_a_package_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*(set(sys.modules) & set({HEAVY!r})))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


def test_opening_and_reading_a_space_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from unisem import SemanticSpace\n"
        f"with SemanticSpace.open({str(tmp_path / 's.unisem')!r}) as space:\n"
        "    assert len(space) == 0 and space.get(['a']) == [None]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0
