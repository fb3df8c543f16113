"""`Manifest`: the small file that says what a space is and which encoder built it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unisem._version import __version__
from unisem.common.atomic_files import publish
from unisem.common.owned import check_owned
from unisem.errors import CorruptStoreError, EncoderMismatchError
from unisem.stores.faiss.readonly import is_untouched

if TYPE_CHECKING:
    from unisem.encoders import Encoder

_FILE = "manifest.json"
FORMAT = 1
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        encoder: The encoder's name: ``mini``, a directory, or a hub id.
        fingerprint: The encoder's fingerprint; decides whether vectors may be compared.
        format: Layout of the space's directory.
        unisem: Version that created the space.
    """

    encoder: str
    fingerprint: str
    format: int = FORMAT
    unisem: str = __version__

    @classmethod
    def read(cls, directory: Path) -> Manifest | None:
        """Read a space's manifest, or return ``None`` if there is no space here yet.

        Raises:
            NotADirectoryError: There is a file of that name.
            CorruptStoreError: It cannot be read, is of a newer format, there are links in place of
                files, or a folder full of other things.
        """
        if directory.exists() and not directory.is_dir():
            raise NotADirectoryError(f"{directory} is a file, not a space")
        check_owned(directory)
        path = directory / _FILE
        if not path.exists():
            if is_untouched(directory) and (directory / "catalog.sqlite").exists():
                return None  # the making of a space was interrupted, or is still going on
            if (directory / "catalog.sqlite").exists():
                raise CorruptStoreError(f"{path} is missing; restore it from a copy of the space")
            if directory.is_dir() and any(not p.name.startswith(".") for p in directory.iterdir()):
                raise CorruptStoreError(
                    f"{directory} is a folder of other things, not a space; name a new directory, "
                    "for example photos.unisem"
                )
            return None
        try:
            with path.open("rb") as file:
                parts = json.loads(file.read(_LARGEST))
            manifest = cls(**parts)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise CorruptStoreError(f"{path} cannot be read ({error})") from error
        if not isinstance(manifest.encoder, str) or not isinstance(manifest.fingerprint, str):
            raise CorruptStoreError(
                f"{path} is damaged: encoder and fingerprint must be strings; restore it from a "
                "copy of the space"
            )
        if manifest.format != FORMAT:
            raise CorruptStoreError(
                f"{directory} has format {manifest.format}; this version of unisem reads format "
                f"{FORMAT}. Upgrade unisem"
            )
        return manifest

    def check(self, encoder: Encoder, directory: Path) -> None:
        """Refuse an encoder whose vectors cannot be compared with the space's.

        Raises:
            EncoderMismatchError: It is another than the one that built the space.
        """
        if self.fingerprint == encoder.fingerprint:
            return
        remedy = f"Open it with encoder={self.encoder!r}, or build a new space"
        if self.encoder == encoder.name:
            remedy = "The model of that name has changed since; build the space anew"
        raise EncoderMismatchError(
            f"{directory} was built with the encoder {self.encoder!r} "
            f"({self.fingerprint[:12]}), not {encoder.name!r} "
            f"({encoder.fingerprint[:12]}); their vectors cannot be compared. {remedy}"
        )

    def write(self, directory: Path) -> None:
        """Write the manifest, whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / f".{_FILE}.{os.getpid()}"
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        publish(temporary, directory / _FILE)
