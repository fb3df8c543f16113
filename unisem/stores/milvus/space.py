"""`Space`: the collections of one space in Milvus, and what they say of the space itself.

Of a space ``photos`` there are ``photos`` (records, the manifest, the calibration), from the first
record on ``photos_vectors``, and while it is calibrated ``photos_calibrated_DIGEST``.
"""

from __future__ import annotations

import hashlib
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from unisem.calibration import Calibration, load_calibration
from unisem.calibration.artefact import packed
from unisem.errors import CorruptStoreError
from unisem.records import VECTOR_KINDS
from unisem.stores.calibrated import Calibrated
from unisem.stores.calibration_file import CalibrationFile
from unisem.stores.milvus.address import Address
from unisem.stores.milvus.facts import EVERY
from unisem.stores.milvus.rows import pieces_of
from unisem.stores.milvus.server import Row, Server

_FRESH = 5.0  # seconds after which a reader looks for another calibration, and for fused vectors
_KINDS = {
    "flat": ("FLAT", {}, ""),
    "hnsw": ("HNSW", {"M": 16, "efConstruction": 200}, "ef"),
    "ivf_flat": ("IVF_FLAT", {"nlist": 1024}, "nprobe"),
    "ivf_sq8": ("IVF_SQ8", {"nlist": 1024}, "nprobe"),
    "autoindex": ("AUTOINDEX", {}, ""),
}
INDEXES = tuple(_KINDS)
"""Kinds of index, by our names."""


class Space:
    """A connection, and the collections of a space.

    Args:
        address: Where.
        consistency: Of reads.

    Raises:
        StoreError: Milvus cannot be reached, or a collection of that name is another program's.
    """

    def __init__(self, address: Address, consistency: str) -> None:
        self.address = address
        self.server = Server(address, consistency)
        self.records = address.space
        self.vectors = f"{address.space}_vectors"
        self.calibration = CalibrationFile(None)
        self._digest = ""
        self._dimension: int | None = None
        self._looked = float("-inf")
        self._fuses = False
        self._looked_for_fused = float("-inf")
        self._exists = False
        _ = self.exists

    def close(self) -> None:
        """Let go of the connection."""
        self.server.close()

    @property
    def exists(self) -> bool:
        """Whether there are collections of this space."""
        self._exists = self._exists or self.server.has_records(self.records)
        return self._exists

    def make(self) -> None:
        """Make the collection of records, unless it is there."""
        if not self.exists:
            self.server.create_records(self.records)
            self._exists = True

    # -- vectors -------------------------------------------------------------------------------

    @property
    def dimension(self) -> int | None:
        """Length of the vectors; ``None`` before the first."""
        if self._dimension is None and self.exists:
            self._dimension = self.server.dimension_of(self.vectors)
        return self._dimension

    def forget(self) -> None:
        """Ask Milvus again what there is, as others may have changed it."""
        self._dimension, self._looked = None, float("-inf")
        self._fuses, self._looked_for_fused = False, float("-inf")

    def has_fused(self) -> bool:
        """Whether there are fused vectors, as it was a few seconds ago at most."""
        if not self._fuses and time.monotonic() - self._looked_for_fused > _FRESH:
            self._looked_for_fused = time.monotonic()
            self._fuses = self.server.count(self.vectors, '(kind == "both")') > 0
        return self._fuses

    def note_fused(self) -> None:
        """Know that there are some, as they have just been written."""
        self._fuses = True

    def make_vectors(self, collection: str, dimension: int, index: str) -> None:
        """Make a collection of vectors."""
        kind, settings, _ = _KINDS[index]
        self.server.create_vectors(collection, dimension, kind, settings)

    def start(self, dimension: int, index: str) -> None:
        """Make the collections of vectors anew, of a space without records."""
        for name in self.searched:
            self.server.drop(name)
        self.make_vectors(self.vectors, dimension, index)
        self._dimension = dimension
        if (calibrated := self.calibrated()) is not None:
            self.make_vectors(self.of(calibrated), calibrated.calibration.index_dimension, index)

    def versions(self, rows: Sequence[Row]) -> dict[str, Sequence[Row]]:
        """Rows of raw vectors, and the same by the calibration, by collection."""
        calibrated = self.calibrated(fresh=True)
        found: dict[str, Sequence[Row]] = {self.vectors: rows}
        if calibrated is not None:
            found[self.of(calibrated)] = _as_searched(rows, calibrated)
        return found

    def calibrate(self, calibration: Calibration | None, index: str, since: str) -> None:
        """Search by a calibration from now on, or by raw vectors.

        What others add meanwhile is looked for once more at the end.

        Args:
            calibration: Which.
            index: Kind of index.
            since: A batch that is begun now.

        Raises:
            CalibrationError: It is of vectors of another dimension.
            EncoderMismatchError: It is of another encoder's vectors.
        """
        before = self.searched
        calibrated = self.calibration.swap(calibration, self.dimension).calibrated
        if calibrated is not None and self.dimension is not None:
            name = self.of(calibrated)
            if self.server.dimension_of(name) is None:
                self.make_vectors(name, calibrated.calibration.index_dimension, index)
            self._fill(name, calibrated, EVERY)
            self.use(calibrated)
            self._fill(name, calibrated, f'(pk > "{since}")')
            before.append(name)
        else:
            self.use(calibrated)
        self.drop_others(before)  # whoever is searching by the one before goes on

    def _fill(self, name: str, calibrated: Calibrated, expression: str) -> None:
        fields = ("pk", "key", "record", "kind", "facts", "ordered", "vector")
        for page in self.server.pages(self.vectors, expression, fields):
            self.server.insert(name, _as_searched(page, calibrated), replace=True)

    def effort(self, index: str, effort: int, limit: int) -> dict[str, int]:
        """How hard a search tries that is to give so many rows."""
        _, _, name = _KINDS[index]
        return {name: max(effort, limit) if name == "ef" else effort} if name else {}

    @property
    def searched(self) -> list[str]:
        """The collections that have vectors: the raw ones, and those by the calibration."""
        calibrated = self.calibrated(fresh=True)
        there = [self.vectors] if calibrated is None else [self.vectors, self.of(calibrated)]
        return [name for name in there if self.server.dimension_of(name) is not None]

    def of(self, calibrated: Calibrated) -> str:
        """The collection of vectors by a calibration."""
        return f"{self.records}_calibrated_{calibrated.digest[:12]}"

    # -- what the space says of itself ---------------------------------------------------------

    def read_manifest(self) -> bytes | None:
        """The manifest; ``None`` before it is written."""
        found = self._kept("manifest") if self.exists else ""
        return found.encode() if found else None

    def write_manifest(self, text: bytes) -> None:
        """Keep the manifest."""
        self.make()
        self.server.insert(
            self.records, pieces_of("manifest", "manifest", text.decode("ascii")), replace=True
        )

    def calibrated(self, *, fresh: bool = False) -> Calibrated | None:
        """The present calibration, as it was a few seconds ago, or as it is now; if it fits."""
        if self.exists and (fresh or time.monotonic() - self._looked > _FRESH):
            digest = self._kept("calibrated")
            if digest != self._digest:
                self.calibration.write(self._read(digest) if digest else None)
                self._digest = digest
            self._looked = time.monotonic()
        return self.calibration.newest(self.dimension)

    def use(self, calibrated: Calibrated | None) -> None:
        """Make a calibration the present one: its own rows first, then the one that names it."""
        digest = "" if calibrated is None else calibrated.digest
        if calibrated is not None:
            text = b64encode(packed(calibrated.calibration)).decode("ascii")
            rows = pieces_of(f"calibration{digest[:12]}", "calibration", text)
            self.server.insert(self.records, rows, replace=True)
        self.server.insert(
            self.records, pieces_of("calibrated", "calibrated", digest), replace=True
        )
        self.calibration.write(calibrated)
        self._digest, self._looked = digest, time.monotonic()

    def drop_others(self, kept: Sequence[str]) -> None:
        """Remove collections by other calibrations than these, and those calibrations."""
        ours = re.compile(re.escape(self.records) + "_calibrated_[0-9a-f]{12}")
        for name in self.server.named(f"{self.records}_calibrated_"):
            if name not in kept and ours.fullmatch(name) and self.server.has_vectors(name):
                self.server.drop(name)
        rows = self.server.rows(self.records, '(role == "calibration")', ("pk",))
        ends = [name.rpartition("_")[2] for name in kept]
        old = [row["pk"] for row in rows if row["pk"][11:23] not in ends]
        self.server.remove(self.records, old)

    def _read(self, digest: str) -> Calibrated:
        data = b64decode(self._kept("calibration", f"calibration{digest[:12]}"))
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptStoreError(
                f"{self.address.uri}: the calibration is damaged; calibrate the space anew"
            )
        with TemporaryDirectory() as folder:
            file = Path(folder, "calibration.safetensors")
            file.write_bytes(data)
            return Calibrated(load_calibration(file), digest)

    def _kept(self, role: str, start: str = "") -> str:
        with self.server.strongly():
            rows = self.server.rows(self.records, f'(role == "{role}")', ("pk", "body"))
        wanted = [row for row in rows if row["pk"].startswith(start)]
        return "".join(row["body"] for row in sorted(wanted, key=lambda row: row["pk"]))


def _as_searched(rows: Sequence[Row], calibrated: Calibrated) -> list[Row]:
    if not rows:
        return []
    raw = np.array([row["vector"] for row in rows], np.float32)
    kinds = np.array([VECTOR_KINDS.index(row["kind"]) for row in rows])
    searched = calibrated.calibration.documents(raw, kinds)
    return [{**row, "vector": vector} for row, vector in zip(rows, searched, strict=True)]
