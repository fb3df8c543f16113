"""`lazy_names`, `require`, `needs_torch`: imports that cost nothing, and say what is lacking."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from unisem.errors import MissingImportError

TORCH = ("torch", "transformers", "sentence_transformers")
"""What `requirements-slim.txt` leaves out, though it is required of a whole installation."""


def lazy_names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """A package's ``__getattr__``, ``__dir__`` and ``__all__``: names are imported when first used.

    Which names, and from where, is what the package's source imports ``if TYPE_CHECKING``, so that
    a name is written once. ``__version__``, where it has one, is one of its names as well.

    Args:
        package: Its ``__name__``, while it is being imported.
    """
    module = sys.modules[package]
    assert module.__spec__ is not None
    loader: Any = module.__spec__.loader
    homes = {
        alias.name: node.module
        for block in ast.parse(loader.get_source(package)).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }

    versions = vars(module).keys() & {"__version__"}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            if error.name not in TORCH:
                raise
            raise ImportError(needs_torch(f"{package}.{name}"), name=error.name) from error

    return get, lambda: sorted({*vars(module), *homes}), sorted([*homes, *versions])


def needs_torch(what: str) -> str | None:
    """Why something cannot run here, in a sentence; ``None`` if nothing of `TORCH` is missing."""
    missing = [library for library in TORCH if find_spec(library) is None]
    if not missing:
        return None
    are = "is" if len(missing) == 1 else "are"
    return (
        f"{what} needs torch, and {' and '.join(missing)} {are} not installed; "
        "install with: pip install torch sentence-transformers"
    )


def require(package: str, module: str, install: str) -> None:
    """Refuse to import a package without another one that it stands on.

    Args:
        package: Who asks.
        module: What it needs.
        install: What to give to ``pip install``.

    Raises:
        MissingImportError: It is not installed; says what to do.
    """
    if find_spec(module.partition(".")[0]) is None or find_spec(module) is None:
        raise MissingImportError(
            f"{package} needs {module}, which is not installed; "
            f'install it with: pip install "{install}"',
            name=module,
        )
