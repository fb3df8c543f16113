"""The kinds of stores by name: ours, those of installed packages, and those of `register`.

A package brings a kind as an entry point of the group ``unisem.stores``. A name may come from a
stranger's manifest: it is looked up here, and never imported.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.errors import StoreError
from unisem.stores.kind import Place, StoreKind

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

DEFAULT = "faiss"
"""The kind of store of a new space, and of one whose manifest names none."""

_GROUP = "unisem.stores"
_OWN = {
    "faiss": ("unisem.stores.faiss.kind", "FaissKind"),
    "milvus": ("unisem.stores.milvus.kind", "MilvusKind"),
}
_registered: dict[str, type[StoreKind]] = {}
_URI = re.compile(r"([a-z][a-z0-9+.-]+)://")


def register(kind: type[StoreKind]) -> type[StoreKind]:
    """Make a kind known by its name; fit for a class decorator.

    Raises:
        ValueError: Another kind has this name.
    """
    if kind.name in _OWN or _registered.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is another kind of store of the name {kind.name!r}")
    return kind


def kind_named(name: str) -> type[StoreKind]:
    """The kind of store of a name.

    Raises:
        StoreError: There is none here.
    """
    if name in _registered:
        return _registered[name]
    if name in _OWN:
        module, own = _OWN[name]
        kind: type[StoreKind] = getattr(import_module(module), own)
        return kind
    for again in (False, True):
        if again:
            _installed_on.cache_clear()  # it may have been installed since
        for point in _installed():
            if point.name == name:
                return register(point.load())
    if name in ("http", "https"):
        raise StoreError(
            "a space that a service keeps is not opened here; use SemanticSpace.connect(…), on the "
            "command line unisem mcp --service"
        )
    raise StoreError(
        f"no store of the kind {name!r:.80} is known here, but {', '.join(known_kinds())}; install "
        "the package that brings it, or call unisem.stores.register(…) with its class"
    )


def known_kinds() -> list[str]:
    """The names of all kinds, in order."""
    return sorted({*_OWN, *_registered, *(point.name for point in _installed())})


def _installed() -> EntryPoints:
    return _installed_on(tuple(sys.path))


@lru_cache(maxsize=1)
def _installed_on(path: tuple[str, ...]) -> EntryPoints:
    """Kept, as it reads a file of each package there is: a tenth of a second."""
    from importlib.metadata import entry_points

    return entry_points(group=_GROUP)


def kind_at(directory: Path) -> StoreKind | None:
    """The kind of the store that a directory holds, known by its file; ``None`` for none."""
    if not directory.is_dir():
        return None
    for name in known_kinds():
        kind = kind_named(name)
        if kind.file is not None and (directory / kind.file).exists():
            return kind()
    return None


def place_of(path: str | os.PathLike[str]) -> Place:
    """Take a string with a scheme for a URI, and all else for a directory.

    Raises:
        StoreError: There is no kind of store of that scheme.
    """
    found = _URI.match(path) if isinstance(path, str) else None
    if found is None:
        return Path(path)
    kind_named(found[1])
    return str(path)


def kind_of(place: Place | None) -> str:
    """The name of the kind that a new store at some place is of, unless somebody says otherwise."""
    found = _URI.match(place) if isinstance(place, str) else None
    return DEFAULT if found is None else found[1]
