"""Rules that hold for every file of the three packages."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("unisem", "langchain_unisem", "llama_index_unisem")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "sklearn", "pymilvus")
MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
    if not module.name.endswith("__main__")
)


# Which room may import which; a room stands below every room that may import it.
ARROWS = {
    "langchain_unisem": "graph space manifest search rerank captioners encoders ingest readers "
    "recognition stores presentation images captions records filters common",
    "llama_index_unisem": "graph space search rerank captioners encoders ingest readers "
    "recognition stores calibration presentation images captions records filters common",
    "service": "pairs.labelling wire exchange space manifest search graph rerank encoders stores "
    "calibration presentation captions records images filters readers ingest common",
    "wire": "search stores encoders calibration records images filters common",
    "exchange": "space ingest encoders stores calibration manifest records images common",
    "space": "space_parts ingest search rerank captioners encoders readers recognition stores "
    "calibration records images filters common",
    "space_parts": "manifest remote ingest search rerank encoders stores images common",
    "remote": "wire search stores encoders calibration records images filters common",
    "training": "evaluation rerank pairs encoders models stores records images common",
    "evaluation": "space calibration search rerank pairs encoders readers stores records images "
    "common",
    "ingest": "graph captioners rerank encoders readers recognition stores calibration captions "
    "filters records images common",
    "search": "graph rerank encoders stores calibration recognition captions records images "
    "filters common",
    "graph": "encoders models readers stores presentation records images filters common",
    "manifest": "encoders stores common",
    "rerank": "encoders models records images common",
    "recognition": "captions records images common",
    "captioners": "rerank encoders models records images common",
    "encoders": "models records images common",
    "stores": "calibration records images filters common",
    "stores.faiss": "stores calibration records images filters common",  # opened by its name only
    "stores.milvus": "stores calibration records images filters common",  # likewise
    "calibration": "records common",
    "pairs": "readers images common",
    "pairs.labelling": "pairs space ingest captioners encoders stores readers captions records "
    "images common",
    "readers": "recognition records images pdfium common",
    "presentation": "captions records images common",
    "models": "common",
    "captions": "records",
    "records": "images",
    "images": "pdfium common",
    "pdfium": "common",
    "filters": "records common",
    "common": "",
    "errors": "",
}
LONGEST = 450  # lines of a module
FREE = (
    "errors",
    "_version",
    "",
)  # what every room may import; "" is `unisem` itself, which is lazy
DOORS = ("cli", "__main__", "_version", "")  # where people come in; they may enter any open room


@functools.cache
def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def forgotten_trees() -> Iterator[None]:
    """A million nodes are not kept for the tests that come after these."""
    yield
    tree_of.cache_clear()


def imported_names(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_no_file_unpickles_or_trusts_remote_code() -> None:
    phrases = ("torch.load(", "trust_remote_code=True", "allow_pickle=True", "eval(compile")
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        loaders = imported_names(tree_of(path)) & {"pickle", "dill", "cloudpickle", "shelve"}
        assert not loaders, path
        assert not [phrase for phrase in phrases if phrase in text], path


def test_the_core_knows_no_framework() -> None:
    for path in SOURCES:
        inside = path.relative_to(ROOT).parts
        if inside[0] == "unisem" and inside[1] != "cli":
            names = imported_names(tree_of(path))
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


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def known_modules() -> frozenset[str]:
    return frozenset(map(module_of, SOURCES))


@functools.cache
def imported_modules(path: Path) -> set[str]:
    """Modules of the three packages that a file imports as it runs, wherever in it."""
    known = known_modules()
    found: set[str] = set()
    nodes: list[ast.AST] = [tree_of(path)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        nodes += (n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.expr))
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known or {node.module}
    return found & known


def room_of(module: str) -> str:
    package, _, rest = module.partition(".")
    if package != "unisem":
        return package
    for inner in ARROWS:
        if "." in inner and f"{rest}.".startswith(f"{inner}."):
            return inner
    return rest.partition(".")[0]


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """What can be reached from itself."""

    def reached(start: str) -> set[str]:
        seen, new = set[str](), set(arrows.get(start, ()))
        while new:
            seen |= new
            new = {after for name in new for after in arrows.get(name, ())} - seen
        return seen

    return sorted(name for name in arrows if name in reached(name))


def test_a_room_imports_only_what_it_stands_on() -> None:
    strangers: dict[Path, set[str]] = {}
    for path in SOURCES:
        room = room_of(module_of(path))
        if room in DOORS:
            strangers[path] = {
                name for name in imported_modules(path) if room_of(name).startswith("stores.")
            }
        else:
            allowed = {room, *FREE, *ARROWS[room].split()}
            strangers[path] = {
                name for name in imported_modules(path) if room_of(name) not in allowed
            }
    assert {path: names for path, names in strangers.items() if names} == {}


def test_no_room_stands_on_itself() -> None:
    assert circles({room: set(below.split()) for room, below in ARROWS.items()}) == []


def test_files_do_not_import_each_other_in_circles() -> None:
    assert circles({module_of(path): imported_modules(path) for path in SOURCES}) == []


def test_no_module_is_too_long_to_read_at_once() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: count for path, count in lines.items() if count > LONGEST} == {}
