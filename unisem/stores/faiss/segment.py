"""`Segment`: an immutable Faiss index of vectors, in memory or mapped from its file.

On disk a segment is ``vectors-N.faiss`` and ``vectors-N.npy`` (the vectors' numbers), N being the
transaction it reflects (``N-1`` where that name is taken), and ``vectors.json``, its seal: names,
sizes and checksums, also of the seal itself, and the catalogue's epoch, so that it is not taken
for another past's; of calibrated vectors, the calibration's digest, too. The two are written whole
under temporary names and renamed, and never over others; the seal comes last, so it always names a
whole pair. Files that do not agree with their seal are ignored and rebuilt.

A mapped Faiss index must never be added to (Faiss aborts the process); nothing here can.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from unisem.calibration import EXTRA
from unisem.common.atomic_files import publish
from unisem.common.owned import is_own_file
from unisem.errors import StoreError
from unisem.records import Vector
from unisem.stores.calibrated import Calibrated
from unisem.stores.faiss.index_settings import (
    KINDS,
    IndexKind,
    IndexSettings,
    build_index,
    raw_vectors,
    search_index,
    search_parameters,
)
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.rawvectors import VectorId

SEAL = "vectors.json"
"""The file that names the others of the present segment."""
_OLD = re.compile(r"vectors-\d+(-\d+)?\.(faiss|npy)")
_UNFINISHED = re.compile(r"\.vectors(-\d+)*\.(faiss|npy|json)\.tmp")
_CHUNK = 1 << 24  # bytes that are hashed or scanned at a time
_FEW = 2_000  # vectors so few that scanning them beats any index
_SPARSE = 0.03  # a selection this small is scanned; a graph would lose its way in it

Found = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]
"""Scores, descending, and positions (or numbers) of the vectors that have them."""

Raw = Callable[[NDArray[np.int64]], Vector]
"""Gives the vectors of vector numbers, in order."""


class Segment:
    """Vectors that will not change, searchable by inner product.

    Attributes:
        kind: Which kind of index.
        vector_ids: ``(n,)`` int64, ascending; a vector's position is its place here.
        moment: The write of the catalogue that the contents reflect.
        calibration: Digest of the calibration whose vectors these are; ``None`` if they are raw.
        settings: How hard a search tries.
    """

    settings: IndexSettings = IndexSettings()

    def __init__(
        self,
        kind: IndexKind,
        index: Any,
        vector_ids: NDArray[np.int64],
        moment: Moment,
        calibration: str | None = None,
    ) -> None:
        self.kind = kind
        self.vector_ids = vector_ids
        self.moment = moment
        self.calibration = calibration
        self._index = index
        self._raw = raw_vectors(kind, index)
        if kind == "ivf":
            index.make_direct_map()

    @classmethod
    def build(
        cls,
        kind: IndexKind,
        vectors: Vector,
        vector_ids: NDArray[np.int64],
        moment: Moment,
        calibrated: Calibrated | None = None,
    ) -> Segment:
        """Index vectors in memory; a graph over a million of them takes minutes."""
        if calibrated is None:
            return cls(kind, build_index(kind, vectors), vector_ids, moment)
        are_images = VectorId.are_images(vector_ids)
        searched = calibrated.calibration.documents(vectors, are_images)
        return cls(kind, build_index(kind, searched), vector_ids, moment, calibrated.digest)

    def __len__(self) -> int:
        return len(self.vector_ids)

    @property
    def is_exact(self) -> bool:
        """Whether a search misses nothing."""
        return self.kind in ("flat", "sq8")

    @property
    def dimension(self) -> int:
        """Length of a raw vector."""
        return int(self._index.d) - (0 if self.calibration is None else EXTRA)

    def search(
        self, queries: Vector, fetch: int, eligible: NDArray[np.bool_] | None, count: int, raw: Raw
    ) -> list[Found]:
        """Find the best vectors of each query.

        Args:
            queries: ``(q, d)`` float32, as long as the indexed vectors.
            fetch: How many are wanted.
            eligible: ``(n,)`` which may be found; ``None`` for all.
            count: How many may be found.
            raw: Gives exact vectors, as long, for kinds that keep none.

        Returns:
            For each query ``min(fetch, count)`` vectors, scored as exactly as float32 allows.
        """
        wanted = min(fetch, count)
        fetch = min(wanted * self.settings.oversampling, count) if self.kind == "sq8" else wanted
        if not fetch:
            return [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
        if not self.is_exact and (count <= _FEW or count <= _SPARSE * len(self)):
            return [self._scan(query, fetch, eligible) for query in queries]
        bits = None if eligible is None else np.packbits(eligible, bitorder="little")
        parameters = search_parameters(
            self.kind, self._index, fetch, bits, count / len(self), self.settings.effort
        )
        scores, positions = search_index(self._index, queries, fetch, parameters)
        found: list[Found] = []
        for query, row, places in zip(queries, scores, positions, strict=True):
            if places[-1] < 0:  # the graph lost its way, though there is more
                found.append(self._scan(query, fetch, eligible))
            elif self.kind == "sq8":
                found.append(best(raw(self.vector_ids[places]) @ query, places, wanted))
            else:
                found.append((row, places))
        return found

    def vectors_at(self, positions: NDArray[np.int64], raw: Raw) -> Vector:
        """``(n, d)`` float32 vectors at these positions, exact for every kind."""
        if self._raw is not None:
            return self._raw[positions]
        if self.kind == "ivf" and len(positions):
            exact: Vector = self._index.reconstruct_batch(positions)
            return exact
        return raw(self.vector_ids[positions])

    def _scan(self, query: Vector, fetch: int, eligible: NDArray[np.bool_] | None) -> Found:
        """Compare every eligible vector, a block at a time."""
        positions = np.arange(len(self)) if eligible is None else np.flatnonzero(eligible)
        scores = np.empty(len(positions), np.float32)
        rows = max(1, _CHUNK // (4 * len(query)))
        for start in range(0, len(positions), rows):
            block = positions[start : start + rows]
            if self._raw is not None:
                vectors = self._raw[block]
            else:
                vectors = self._index.reconstruct_batch(block)
            scores[start : start + rows] = vectors @ query
        return best(scores, positions, fetch)

    def saved(self, directory: Path) -> Segment:
        """Write the segment's files and its seal, then remove those of segments before.

        Returns:
            The same, mapped from its files.

        Raises:
            StoreError: The disk refused; the segment before is still there.
        """
        names: tuple[str, ...] = ()
        try:
            names = self._write(directory)
        except (OSError, RuntimeError) as error:  # Faiss raises the latter
            raise StoreError(
                f"{directory}: the vector index could not be written ({error}); nothing that was "
                "stored is lost"
            ) from error
        finally:
            # Also what a process left that was killed while it wrote.
            for path in directory.iterdir():
                old = names and path.name not in names and _OLD.fullmatch(path.name)
                if (old or _UNFINISHED.fullmatch(path.name)) and is_own_file(path):
                    with suppress(OSError):
                        path.unlink()
        return Segment.load(directory, self.dimension) or self

    def _write(self, directory: Path) -> tuple[str, str]:
        import faiss

        index_path, numbers_path = _free_names(directory, f"vectors-{self.moment.transaction}")
        with _finished(index_path) as file:
            # Faiss itself would not notice that the last bytes do not fit the disk.
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write, _CHUNK))
        with _finished(numbers_path) as file:
            np.save(file, self.vector_ids, allow_pickle=False)
        seal = {
            "kind": self.kind,
            "epoch": self.moment.epoch,
            "transaction": self.moment.transaction,
            **({} if self.calibration is None else {"calibration": self.calibration}),
            "files": {path.name: _fingerprint(path) for path in (index_path, numbers_path)},
        }
        with _finished(directory / SEAL) as file:
            file.write(json.dumps(seal | {"seal": _digest(seal)}, indent=2).encode() + b"\n")
        return index_path.name, numbers_path.name

    @classmethod
    def load(cls, directory: Path, dimension: int) -> Segment | None:
        """Map the sealed segment, or return ``None`` if it is missing or does not agree."""
        import faiss

        try:
            seal = json.loads((directory / SEAL).read_text(encoding="utf-8"))
            if seal.pop("seal") != _digest(seal):
                return None
            paths = [directory / Path(name).name for name in seal["files"]]
            for path in paths:
                if _fingerprint(path) != seal["files"][path.name]:
                    return None
            kind, moment = seal["kind"], Moment(str(seal["epoch"]), int(seal["transaction"]))
            calibration = seal.get("calibration")
            index_path = next(path for path in paths if path.suffix == ".faiss")
            numbers_path = next(path for path in paths if path.suffix == ".npy")
            vector_ids = np.load(numbers_path, mmap_mode="r", allow_pickle=False)
            with index_path.open("rb") as file:  # Faiss knows no names outside the locale
                name = str(index_path) if str(index_path).isascii() else f"/dev/fd/{file.fileno()}"
                index = faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)
        except (OSError, ValueError, KeyError, TypeError, StopIteration, AttributeError):
            return None
        except RuntimeError:  # Faiss's own
            return None
        if kind not in KINDS:
            return None
        length = dimension if calibration is None else dimension + EXTRA
        if index.d != length or index.ntotal != len(vector_ids):
            return None
        return cls(cast(IndexKind, kind), index, vector_ids, moment, calibration)


def best(scores: NDArray[np.floating[Any]], positions: NDArray[np.int64], fetch: int) -> Found:
    """The ``fetch`` best of some scored positions, best first."""
    if fetch < len(scores):
        kept = np.argpartition(-scores, fetch - 1)[:fetch]
        scores, positions = scores[kept], positions[kept]
    order = np.argsort(-scores, kind="stable")
    return scores[order], positions[order]


def _fingerprint(path: Path) -> dict[str, Any]:
    """Size and XXH3 checksum: for damage, not for malice, at the speed of memory."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for start in range(0, len(data), _CHUNK):
            digest.update(data[start : start + _CHUNK])
        return {"bytes": len(data), "xxh3": digest.hexdigest()}


def _digest(seal: dict[str, Any]) -> str:
    return xxhash.xxh3_128(json.dumps(seal, sort_keys=True).encode()).hexdigest()


def _free_names(directory: Path, stem: str) -> tuple[Path, Path]:
    """Names that no file has: the present seal may name others of the same transaction."""
    for number in count():
        name = f"{stem}-{number}" if number else stem
        paths = directory / f"{name}.faiss", directory / f"{name}.npy"
        if not any(path.exists() for path in paths):
            return paths
    raise AssertionError("unreachable")


@contextmanager
def _finished(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written that has its name once it is whole and safe from a power cut."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        yield file
    publish(temporary, path)
