"""`FeatureCache`: what frozen modules make of an input, computed once and kept on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from sentence_transformers.util import batch_to_device

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import side_fingerprint, side_modules
from unisem.errors import TrainingError
from unisem.records import Modality
from unisem.training.inputs.columns import Column
from unisem.training.inputs.prefetching import made_ahead
from unisem.training.model.token_vectors import gives_tokens

_Features = NDArray[np.floating[Any]]

_TEXT_BATCH, _CPU_IMAGE_BATCH, _GPU_IMAGE_BATCH = (
    64,
    4,
    32,
)  # see `SentenceTransformerEncoder` for the 4


class FeatureCache:
    """Feature vectors by the content of their input, in numbered safetensors files.

    A file is written whole and moved into place, so a kill leaves finished files only. Inputs are
    known by SHA-256, not by name: a renamed picture is not computed again.

    Args:
        folder: Where the files go; created if absent. One folder per model part:
            `feature_folder` names it by what decides the features.
        part: Inputs per file: what a kill loses.
    """

    def __init__(self, folder: Path, *, part: int = 4096) -> None:
        self._folder = folder
        self._part = part

    def get(
        self,
        digests: Sequence[str],
        compute: Callable[[list[int]], _Features],
        progress: Callable[[int, int], None] | None = None,
    ) -> _Features:
        """Look features up, computing and keeping those that are missing.

        Args:
            digests: Hex digests of the inputs' contents; equal ones are computed once.
            compute: Given positions in ``digests``, returns their ``(len, d)`` features, of the
                floating type that they are kept in.
            progress: Called with inputs done and inputs in all.

        Returns:
            ``(n, d)``, in the order given.

        Raises:
            TrainingError: A file of the cache is damaged.
        """
        return np.stack(self.rows(digests, compute, progress))

    def rows(
        self,
        digests: Sequence[str],
        compute: Callable[[list[int]], Sequence[_Features] | _Features],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[_Features]:
        """Do as `get`, for features of any form: ``(d,)`` each, or ``(t, d)`` with any t."""
        known = self._read(set(digests))
        first = {digest: position for position, digest in reversed(list(enumerate(digests)))}
        missing = [position for digest, position in first.items() if digest not in known]
        missing.sort()
        for start in range(0, len(missing), self._part):
            part = missing[start : start + self._part]
            vectors = compute(part)
            self._write([digests[position] for position in part], vectors)
            known |= {digests[p]: row for p, row in zip(part, vectors, strict=True)}
            if progress is not None:
                progress(start + len(part), len(missing))
        return [known[digest] for digest in digests]

    def _read(self, wanted: set[str]) -> dict[str, _Features]:
        known: dict[str, _Features] = {}
        for path in sorted(self._folder.glob("*.safetensors")):
            try:
                with safe_open(str(path), framework="numpy") as file:
                    digests = json.loads((file.metadata() or {})["digests"])
                    vectors = file.get_tensor("features")
                    if "lengths" in file.keys():  # noqa: SIM118
                        ends = np.cumsum(file.get_tensor("lengths"))[:-1]
                        vectors = np.split(vectors, ends)
            except Exception as error:  # safetensors raises its own kind for each damage
                raise TrainingError(
                    f"the stored features {path} are damaged ({error}); delete the file"
                ) from error
            for digest, row in zip(digests, vectors, strict=True):
                if digest in wanted:
                    known[digest] = row
        return known

    def _write(self, digests: list[str], vectors: Sequence[_Features] | _Features) -> None:
        tensors: dict[str, NDArray[Any]] = {}
        if vectors[0].ndim == 1:
            tensors["features"] = np.asarray(vectors)
        else:
            tensors["features"] = np.concatenate(list(vectors))
            tensors["lengths"] = np.array([len(tokens) for tokens in vectors], np.int64)
        number = len(list(self._folder.glob("*.safetensors")))
        path = self._folder / f"{number:06}.safetensors"
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, partial, metadata={"digests": json.dumps(digests)})
            os.replace(partial, path)
        except Exception as error:  # safetensors wraps what the disk says
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise TrainingError(f"features cannot be stored in {self._folder}: {error}") from error


def feature_folder(
    root: Path, encoder: SentenceTransformerEncoder, modality: Modality, depth: int
) -> Path:
    """Where the features of a model's first modules are kept.

    Args:
        root: The cache.
        encoder: The encoder as it was loaded.
        modality: Which side.
        depth: How many of its modules.
    """
    digest = side_fingerprint(encoder, modality, depth)
    tokens = "-tokens" if gives_tokens(encoder.model) else ""
    return root / f"{digest[:32]}-{modality}-{depth}{tokens}"


def compute_features(
    model: Any,
    modality: Modality,
    depth: int,
    column: Column,
    positions: Sequence[int],
    advance: Callable[[int], None] = lambda count: None,
) -> list[_Features]:
    """Run inputs through the first modules of a side.

    Args:
        model: A ``SentenceTransformer``.
        modality: Which side.
        depth: How many of its modules.
        column: The inputs.
        positions: Which of them.
        advance: Called after each batch with its size.

    Returns:
        ``(d,)`` float32 of each input; ``(t, d)`` float16 of its tokens, if the model gives
        those, which are many.

    Raises:
        TrainingError: A token's numbers are too large for half precision.
    """
    size = _TEXT_BATCH
    if modality == "image":
        size = _CPU_IMAGE_BATCH if model.device.type == "cpu" else _GPU_IMAGE_BATCH
    modules = side_modules(model, modality)[:depth]
    rows: list[_Features] = []
    tokens = gives_tokens(model)
    batches = [positions[start : start + size] for start in range(0, len(positions), size)]
    for batch, made in zip(batches, made_ahead(column.features, batches), strict=True):
        features = batch_to_device(made, model.device)
        with torch.inference_mode():
            for module in modules:
                module.eval()
                features = module(features)
        if tokens:
            vectors = features["token_embeddings"].half().cpu().numpy()
            mask = features.get("attention_mask")
            there = [...] * len(batch) if mask is None else mask.bool().cpu().numpy()
            kept = [own[tokens_there] for own, tokens_there in zip(vectors, there, strict=True)]
            if not all(np.isfinite(own).all() for own in kept):
                raise TrainingError(
                    f"the network of {modality}s gives tokens that half precision, in which they "
                    "are stored, cannot hold; train that network, too (freeze=(), --freeze none)"
                )
            rows += kept
        else:
            rows += list(features["sentence_embedding"].float().cpu().numpy())
        advance(len(batch))
    return rows
