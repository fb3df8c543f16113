"""`Segment`: an immutable Faiss index of vectors, in memory or mapped from its file.

On disk a segment is, N being the transaction it reflects (``N-1`` where that name is taken):

- ``vectors-N.f32`` or ``.f16``: the vectors as they are searched, and nothing else.
- ``vectors-N.sums``: their checksums, by which they are checked when they are read.
- ``vectors-N.npy``: their numbers.
- ``vectors-N.faiss``: the index, for kinds that have one.
- ``vectors.json``, the seal: names, sizes and checksums, also of the seal itself, and the
  catalogue's epoch, so that it is not taken for another past's; of calibrated vectors, the
  calibration's digest, too.

The others are written whole under temporary names and renamed, and never over others; the seal
comes last, so it always names whole files. Files that do not agree with their seal are ignored and
rebuilt. At opening that is found out of all but the vectors, which may be gigabytes, and the bytes
at the end of an index's file that the seal names as late; those are checked when first read.

A mapped Faiss index must never be added to (Faiss aborts the process); nothing here can.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import xxhash
from numpy.typing import NDArray

from unisem.calibration import EXTRA
from unisem.common.atomic_files import publish
from unisem.common.owned import is_own_file
from unisem.errors import StoreError
from unisem.records import Vector
from unisem.stores.calibrated import Calibrated, digest_of
from unisem.stores.faiss.exact_scan import Found
from unisem.stores.faiss.index_settings import IndexKind, IndexSettings, choose_kind
from unisem.stores.faiss.kinds.base import VectorIndex
from unisem.stores.faiss.kinds.building import build_index, opened_index
from unisem.stores.faiss.kinds.tuning import Tuning, samples_of
from unisem.stores.faiss.moments import Moment
from unisem.stores.faiss.raw_file import SUFFIX, DamagedVectorsError, RawFile, checksum_of
from unisem.stores.faiss.rawvectors import VectorId

SEAL = "vectors.json"
"""The file that names the others of the present segment."""
_SUFFIXES = ("f32", "f16", "sums", "npy", "faiss")
_OLD = re.compile(rf"vectors-\d+(-\d+)?\.({'|'.join(_SUFFIXES)})")
_UNFINISHED = re.compile(rf"\.vectors(-\d+)*\.({'|'.join(_SUFFIXES)}|json)\.tmp")


class Segment:
    """Vectors that will not change, searchable by inner product.

    Attributes:
        vector_ids: ``(n,)`` int64, ascending; a vector's position is its place here.
        moment: The write of the catalogue that the contents reflect.
        calibration: Digest of the calibration whose vectors these are; ``None`` if they are raw.
        reason: Why its index is of its kind; ``None`` if somebody asked for that.
        settings: How hard a search tries.
    """

    settings: IndexSettings = IndexSettings()

    def __init__(
        self,
        index: VectorIndex,
        vector_ids: NDArray[np.int64],
        moment: Moment,
        calibration: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.vector_ids = vector_ids
        self.moment = moment
        self.calibration = calibration
        self.reason = reason
        self._index = index

    @classmethod
    def build(
        cls,
        wanted: IndexKind | Literal["auto"],
        vectors: Vector,
        vector_ids: NDArray[np.int64],
        moment: Moment,
        calibrated: Calibrated | None,
        settings: IndexSettings,
    ) -> Segment:
        """Index vectors in memory; a graph over a million of them takes minutes."""
        searched = vectors
        if calibrated is not None:
            searched = calibrated.calibration.documents(vectors, VectorId.kinds(vector_ids))
        kind = choose_kind(len(vectors))[0] if wanted == "auto" else wanted
        exact = RawFile.of(searched)
        kept = RawFile.of(searched, settings.raw) if kind == "ivf_pq" else exact
        index, reason = build_index(
            wanted, exact, kept, lambda: samples_of(kept, vector_ids, vectors, calibrated)
        )
        return cls(index, vector_ids, moment, digest_of(calibrated), reason)

    @property
    def kind(self) -> IndexKind:
        """Which kind of index."""
        return self._index.kind

    @property
    def tuning(self) -> Tuning | None:
        """What was measured when the index was built; ``None`` if nothing was."""
        return self._index.tuning

    def __len__(self) -> int:
        return len(self.vector_ids)

    @property
    def dimension(self) -> int:
        """Length of a raw vector."""
        return self._index.vectors.dimension - (0 if self.calibration is None else EXTRA)

    def search(
        self, queries: Vector, fetch: int, eligible: NDArray[np.bool_] | None, count: int
    ) -> list[Found]:
        """Find the best vectors of each query.

        Args:
            queries: ``(q, d)`` float32, as long as the indexed vectors.
            fetch: How many are wanted.
            eligible: ``(n,)`` which may be found; ``None`` for all.
            count: How many may be found.

        Returns:
            For each query ``min(fetch, count)`` vectors, scored as exactly as float32 allows.

        Raises:
            DamagedVectorsError: Vectors that were read do not agree with their checksums.
        """
        wanted = min(fetch, count)
        if not wanted:
            return [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
        return self._index.search(queries, wanted, eligible, count, self.settings)

    def vectors_at(self, positions: NDArray[np.int64]) -> Vector:
        """``(n, d)`` float32 vectors at these positions, the same for every kind.

        Raises:
            DamagedVectorsError: One does not agree with its checksum.
        """
        return self._index.vectors.at(positions)

    @property
    def is_whole(self) -> bool:
        """Whether all agrees with its checksums, which takes a look at each vector."""
        try:
            self._index.check()
        except DamagedVectorsError:
            return False
        return True

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

    def _write(self, directory: Path) -> tuple[str, ...]:
        stem = _free_stem(directory, f"vectors-{self.moment.transaction}")
        names = [f"{stem}{SUFFIX[self._index.vectors.precision]}", f"{stem}.sums", f"{stem}.npy"]
        with _finished(directory / names[0]) as file:
            self._index.vectors.write(file)
        with _finished(directory / names[1]) as file:
            np.save(file, self._index.vectors.checksums(), allow_pickle=False)
        with _finished(directory / names[2]) as file:
            np.save(file, self.vector_ids, allow_pickle=False)
        if self._index.has_file:
            names.append(f"{stem}.faiss")
            with _finished(directory / names[3]) as file:
                self._index.write(file)
        files = {name: _fingerprint(directory / name) for name in names[:3]}
        seal = {
            "kind": self.kind,
            "epoch": self.moment.epoch,
            "transaction": self.moment.transaction,
            "calibration": self.calibration,
            "reason": self.reason,
            "tuning": None if self.tuning is None else self.tuning.to_json(),
            "files": files,
        }
        if self._index.has_file:
            late = self._index.late
            files[names[3]] = _fingerprint(directory / names[3], late)
            seal["late"] = _late(directory / names[3], late)
        with _finished(directory / SEAL) as file:
            file.write(json.dumps(seal | {"seal": _digest(seal)}, indent=2).encode() + b"\n")
        return tuple(names)

    @classmethod
    def load(cls, directory: Path, dimension: int) -> Segment | None:
        """Map the sealed segment, or return ``None`` if it is missing or does not agree."""
        try:
            seal = json.loads((directory / SEAL).read_text(encoding="utf-8"))
            if seal.pop("seal") != _digest(seal):
                return None
            late = seal.get("late", {"bytes": 0, "xxh3": None})
            paths = {Path(name).suffix: directory / Path(name).name for name in seal["files"]}
            for suffix, path in paths.items():
                sealed = seal["files"][path.name]
                if suffix in SUFFIX.values():  # checked where it is read
                    if path.stat().st_size != sealed["bytes"]:
                        return None
                elif _fingerprint(path, late["bytes"] if suffix == ".faiss" else 0) != sealed:
                    return None
            moment = Moment(str(seal["epoch"]), int(seal["transaction"]))
            calibration, said = seal["calibration"], seal["reason"]
            reason = None if said is None else str(said)
            tuning = None if seal["tuning"] is None else Tuning.from_json(seal["tuning"])
            vector_ids = np.load(paths[".npy"], mmap_mode="r", allow_pickle=False)
            if vector_ids.dtype != np.int64 or vector_ids.ndim != 1:
                raise ValueError("these are no numbers of vectors")
            if (vector_ids[1:] <= vector_ids[:-1]).any():
                raise ValueError("the numbers of vectors do not ascend")
            length = dimension if calibration is None else dimension + EXTRA
            raw_path = next(path for suffix, path in paths.items() if suffix in SUFFIX.values())
            vectors = RawFile.mapped(raw_path, len(vector_ids), length, paths[".sums"])
            index = opened_index(seal["kind"], paths.get(".faiss"), vectors, tuning, late["xxh3"])
            if late["bytes"] not in (0, index.late):
                raise ValueError("other bytes are checked late than are sealed")
        except (OSError, ValueError, LookupError, OverflowError, MemoryError):
            return None
        except (TypeError, AttributeError, StopIteration):
            return None
        except RuntimeError:  # Faiss's own, and too deep JSON
            return None
        return cls(index, vector_ids, moment, calibration, reason)


def _fingerprint(path: Path, late: int = 0) -> dict[str, Any]:
    """Size, and the checksum of all but so many bytes at the end."""
    with _mapped(path) as data, data[: len(data) - late] as part:
        return {"bytes": len(data), "xxh3": checksum_of(part)}


def _late(path: Path, late: int) -> dict[str, Any]:
    """As `_fingerprint`, of the bytes at the end."""
    with _mapped(path) as data, data[len(data) - late :] as part:
        return {"bytes": late, "xxh3": checksum_of(part)}


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    with path.open("rb") as file:
        if not path.stat().st_size:  # there is nothing to map
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            yield view


def _digest(seal: dict[str, Any]) -> str:
    return xxhash.xxh3_128(json.dumps(seal, sort_keys=True).encode()).hexdigest()


def _free_stem(directory: Path, stem: str) -> str:
    """A name that no file has: the present seal may name others of the same transaction."""
    for number in count():
        name = f"{stem}-{number}" if number else stem
        if not any((directory / f"{name}.{suffix}").exists() for suffix in _SUFFIXES):
            return name
    raise AssertionError("unreachable")


@contextmanager
def _finished(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written that has its name once it is whole and safe from a power cut."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        yield file
    publish(temporary, path)
