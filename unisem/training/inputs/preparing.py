"""From pairs to columns: live ones, or stored outputs of what is frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sentence_transformers.util import batch_to_device

from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import side_modules
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import PairDataset
from unisem.records import Modality
from unisem.training.inputs.augmentation import Augmentation
from unisem.training.inputs.collator import PreparedPairs
from unisem.training.inputs.columns import Column, ImageColumn, StoredColumn, TextColumn
from unisem.training.inputs.feature_cache import FeatureCache, compute_features, feature_folder
from unisem.training.model.modality_parts import frozen_depth

Advance = Callable[[int], None]


def stored_depths(encoder: SentenceTransformerEncoder, *, augmented: bool) -> dict[Modality, int]:
    """For each side, how many frozen modules at its beginning can be replaced by their output.

    A side is left out if nothing at its beginning is frozen, if what its frozen modules give is not
    one vector per input, or if its pictures are changed at random.

    Args:
        encoder: Frozen as it will be trained.
        augmented: Pictures are changed at random.
    """
    depths: dict[Modality, int] = {}
    sides: tuple[Modality, ...] = ("text",) if augmented else ("text", "image")
    for side in sides:
        depth = frozen_depth(encoder.model, side)
        if depth and _gives_vectors(encoder, side, depth):
            depths[side] = depth
    return depths


def prepare_pairs(
    encoder: SentenceTransformerEncoder,
    dataset: PairDataset,
    depths: dict[Modality, int],
    cache: Path,
    *,
    augmentation: Augmentation | None = None,
    advance: Advance = lambda count: None,
) -> PreparedPairs:
    """Make columns of a dataset, running its frozen part now.

    Args:
        encoder: The encoder, as it was loaded; its files name the stored features.
        dataset: Checked pairs.
        depths: From `stored_depths`.
        cache: Where features are stored.
        augmentation: Random changes to live pictures.
        advance: Called with the number of inputs embedded since the last call.
    """
    image_ids = dataset.document_ids
    _, first, image_of = np.unique(image_ids, return_index=True, return_inverse=True)
    references = [dataset[int(position)].image for position in first]
    texts: Column = TextColumn(encoder, dataset.captions)
    images: Column = ImageColumn(encoder, references, augmentation)
    columns: dict[Modality, Column] = {"text": texts, "image": images}
    digests: dict[Modality, list[str]] = {
        "text": [hashlib.sha256(caption.encode()).hexdigest() for caption in dataset.captions],
        "image": [content_digest(reference) for reference in references],
    }
    for side, depth in depths.items():
        store = FeatureCache(feature_folder(cache, encoder, side, depth))
        column = columns[side]
        vectors = store.get(
            digests[side],
            lambda positions, side=side, depth=depth, column=column: compute_features(  # type: ignore[misc]
                encoder.model, side, depth, column, positions, advance
            ),
        )
        columns[side] = StoredColumn(vectors, side)
    return PreparedPairs(
        columns["text"],
        columns["image"],
        image_of.astype(np.int64),
        image_ids,
        dataset.query_ids,
    )


def _gives_vectors(encoder: SentenceTransformerEncoder, side: Modality, depth: int) -> bool:
    """Whether the first modules end in a ``sentence_embedding``; found by trying one input."""
    column: Column = TextColumn(encoder, ["a"])
    if side == "image":
        from PIL import Image

        column = ImageColumn(encoder, [ImageRef.of(Image.new("RGB", (64, 64)))])
    features = batch_to_device(column.features([0]), encoder.model.device)
    with torch.inference_mode():
        for module in side_modules(encoder.model, side)[:depth]:
            features = module.eval()(features)
    vectors = features.get("sentence_embedding")
    return isinstance(vectors, torch.Tensor) and vectors.dim() == 2


def content_digest(reference: ImageRef) -> str:
    """The SHA-256 of a picture, read if it is not known."""
    return reference.sha256 or hashlib.sha256(reference.read_bytes()).hexdigest()
