"""`build_index`: an index of the kind that is asked for, or that suits the vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from unisem.stores.faiss.index_settings import IndexKind, choose_kind
from unisem.stores.faiss.kinds.base import FEW, VectorIndex
from unisem.stores.faiss.kinds.flat import Flat, Rounded, build_flat
from unisem.stores.faiss.kinds.graph import Graph
from unisem.stores.faiss.kinds.ivf_pq import IvfPQ
from unisem.stores.faiss.kinds.tuning import Samples, Tuning
from unisem.stores.faiss.raw_file import RawFile


def build_index(
    wanted: IndexKind | Literal["auto"],
    vectors: RawFile,
    kept: RawFile,
    draw: Callable[[], list[Samples]],
) -> tuple[VectorIndex, str | None]:
    """Build one, and say why it is of this kind.

    Args:
        wanted: The kind; ``"auto"`` to choose by size, and by what is found of the space's own.
        vectors: What is indexed.
        kept: The same as an index of codes keeps it, maybe rounded.
        draw: Gives queries on which an approximate index is measured.

    Returns:
        The index, and the reason; ``None`` for a kind that was asked for.
    """
    samples = draw() if len(vectors) > FEW else []
    if wanted != "auto" and len(vectors):
        return _of_kind(wanted, vectors, kept, samples), None
    kind, reason = choose_kind(len(vectors))
    if kind == "ivf_pq":
        lists = IvfPQ.build(kept, samples)
        if lists.tuning.is_enough:
            return lists, f"{reason}; {lists.tuning.described}"
        reason = f"nothing else finds; ivf_pq had {lists.tuning.described}"
    return build_flat(vectors), reason


def _of_kind(
    kind: IndexKind, vectors: RawFile, kept: RawFile, samples: list[Samples]
) -> VectorIndex:
    match kind:
        case "flat":
            return build_flat(vectors)
        case "hnsw":
            return Graph.build(vectors)
        case "ivf_pq":
            return IvfPQ.build(kept, samples)


def opened_index(
    kind: str,
    path: Path | None,
    vectors: RawFile,
    tuning: Tuning | None,
    late: str | None = None,
) -> VectorIndex:
    """An index of this kind from the file that it wrote, if it wrote any.

    Args:
        kind: Its name.
        path: Of the file.
        vectors: What it finds.
        tuning: What was measured when it was built.
        late: The checksum of the bytes that it checks itself, if there are any.

    Raises:
        OSError, RuntimeError, ValueError: There is none, or it is something else.
    """
    match kind, path, tuning:
        case "flat", None, _:
            return Flat(vectors, None)
        case "flat", Path(), _:
            return Rounded.opened(path, vectors, late)
        case "hnsw", Path(), _:
            return Graph.opened(path, vectors)
        case "ivf_pq", Path(), Tuning():
            return IvfPQ.opened(path, vectors, tuning)
    raise ValueError(f"no index of the kind {kind!r}")
