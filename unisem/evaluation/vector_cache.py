"""`VectorCache`: vectors of an evaluation that was interrupted, or is done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from unisem.common.atomic_files import publish
from unisem.records import Vector


class VectorCache:
    """A folder of vectors, a file for each chunk of inputs, named by all that decides them.

    Args:
        folder: Created if absent.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def vectors(
        self, fingerprint: str, kind: str, inputs: Sequence[str], encode: Callable[[], Vector]
    ) -> Vector:
        """Return ``(n, d)`` vectors, from the folder if they are there.

        Args:
            fingerprint: The encoder's.
            kind: What is encoded, and in what role.
            inputs: What identifies each input: a text, or the digest of a picture's bytes.
            encode: Makes the vectors.
        """
        digest = hashlib.sha256()
        for part in (fingerprint, kind, *inputs):
            digest.update(hashlib.sha256(part.encode()).digest())  # of one length: no ambiguity
        path = self._folder / f"{digest.hexdigest()}.npy"
        try:
            stored: Vector = np.load(path, allow_pickle=False)
            if stored.dtype == np.float32 and stored.ndim == 2 and len(stored) == len(inputs):
                return stored
        except (OSError, ValueError, EOFError):
            pass  # absent, or cut short by an older interruption: encode it (again)
        made = encode()
        temporary = path.with_suffix(".partial")
        with temporary.open("wb") as file:
            np.save(file, made, allow_pickle=False)
        publish(temporary, path)
        return made
