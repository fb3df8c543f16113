"""`ExportInfo`: the contents of ``export.json``, which makes a folder an export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from unisem._version import __version__
from unisem.common.owned import is_own_file
from unisem.encoders import EncoderOptions
from unisem.errors import ExchangeError

FILE = "export.json"
FORMAT = 1
Layout = Literal["jsonl", "parquet"]
FILES: dict[Layout, tuple[str, ...]] = {
    "jsonl": ("records.jsonl", "vectors.npy", "vectors.jsonl"),
    "parquet": ("records.parquet", "vectors.parquet"),
}
CALIBRATION = "calibration.safetensors"
GRAPH = "graph.jsonl"
SOMETIMES = (CALIBRATION, GRAPH)
"""The files of an export that not every one has."""
_LARGEST = 1 << 20  # bytes of export.json


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What an export holds.

    Attributes:
        layout: ``"jsonl"`` or ``"parquet"``.
        encoder: Name of the encoder that made the vectors; ``None`` if not known.
        fingerprint: Its fingerprint; ``None`` if not known.
        dimension: Length of a vector; ``None`` if there is none.
        records: How many records.
        vectors: How many vectors.
        pictures: How many records have a copy of their picture in the export.
        files: Size in bytes and SHA-256 of each file, by name; not those of the pictures, whose
            digests are in their records.
        options: How the encoder was asked to embed.
    """

    layout: Layout
    encoder: str | None
    fingerprint: str | None
    dimension: int | None
    records: int
    vectors: int
    pictures: int
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: EncoderOptions = field(default_factory=EncoderOptions)

    @classmethod
    def read(cls, directory: Path) -> ExportInfo:
        """Read and check an export's description.

        Raises:
            ExchangeError: There is none, or it is not one that this version reads.
        """
        path = directory / FILE
        if path.exists() and not is_own_file(path):
            raise ExchangeError(f"{path} is not a regular file")
        try:
            with path.open("rb") as file:
                parts = json.loads(file.read(_LARGEST))
        except FileNotFoundError:
            raise ExchangeError(
                f"{directory} is no finished export: it has no {FILE}; export the space again"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise ExchangeError(f"{path} cannot be read ({error})") from error
        found = parts.pop("format", None) if isinstance(parts, dict) else None
        if found != FORMAT or isinstance(found, bool):
            raise ExchangeError(
                f"{path} has format {found!r}; this version of unisem reads format {FORMAT}"
            )
        parts.pop("unisem", None)
        try:
            info = cls(**{**parts, "options": EncoderOptions.from_json(parts.get("options", {}))})
        except (TypeError, ValueError) as error:
            raise ExchangeError(f"{path}: {error}") from error
        info._check(path)
        return info

    def _check(self, path: Path) -> None:
        def number(value: object, least: int) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and value >= least

        wrong = [name for name in ("encoder", "fingerprint") if not _is_text(getattr(self, name))]
        wrong += [n for n in ("records", "vectors", "pictures") if not number(getattr(self, n), 0)]
        if self.dimension is not None and not number(self.dimension, 1):
            wrong.append("dimension")
        if not isinstance(self.layout, str) or self.layout not in FILES:
            wrong.append("layout")
        elif not isinstance(self.files, dict) or (
            set(self.files) - set(SOMETIMES) != set(FILES[self.layout])
        ):
            wrong.append("files")
        if wrong:
            raise ExchangeError(f"{path}: {', '.join(wrong)} cannot be understood")

    def verify(self, directory: Path) -> None:
        """Compare the files with their sizes and checksums.

        Raises:
            ExchangeError: One is missing or was damaged or changed.
        """
        for name, expected in self.files.items():
            path = directory / name
            if not is_own_file(path):
                raise ExchangeError(f"{path} is missing")
            if digest(path) != expected:
                raise ExchangeError(
                    f"{path} is damaged or was changed: it does not agree with its size and "
                    f"checksum in {FILE}"
                )

    def write(self, directory: Path) -> None:
        """Write the description; the last step of an export."""
        parts = {
            "format": FORMAT,
            "unisem": __version__,
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "options": self.options.remembered,
        }
        if not parts["options"]:
            del parts["options"]  # which earlier versions do not know
        (directory / FILE).write_text(json.dumps(parts, indent=2) + "\n", encoding="utf-8")


def digest(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": found}


def digests(directory: Path, layout: Layout) -> dict[str, dict[str, Any]]:
    """`digest` of each file of an export."""
    names = [name for name in (*FILES[layout], *SOMETIMES) if (directory / name).exists()]
    return {name: digest(directory / name) for name in names}


def check_layout(layout: str, known: Sequence[str] = tuple(FILES)) -> Layout:
    """Return a layout's name, checked."""
    if layout not in known:
        raise ValueError(f"layout must be one of {', '.join(known)}, not {layout!r}")
    return cast(Layout, layout)


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
