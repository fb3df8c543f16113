"""From pairs to columns: live ones, or stored outputs of what is frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from sentence_transformers.util import batch_to_device

from unisem.encoders.base import Role
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.encoders.sides import side_modules
from unisem.images.reference import ImageRef
from unisem.pairs.dataset import PairDataset, content_numbers, counted
from unisem.pairs.input import Form, Input
from unisem.records import Modality
from unisem.training.inputs.augmentation import Augmentation
from unisem.training.inputs.columns import (
    Column,
    FusedColumn,
    ImageColumn,
    StoredColumn,
    StoredTokens,
    TextColumn,
)
from unisem.training.inputs.feature_cache import FeatureCache, compute_features, feature_folder
from unisem.training.inputs.prepared import Inputs, PreparedPairs, Slot
from unisem.training.model.modality_parts import frozen_depth
from unisem.training.model.token_vectors import gives_tokens

Advance = Callable[[int], None]


def stored_depths(
    encoder: SentenceTransformerEncoder,
    *,
    augmented: bool,
    forms: Collection[Form] = ("text", "image"),
) -> dict[Modality, int]:
    """For each side, how many frozen modules at its beginning can be replaced by their output.

    A side is left out if nothing at its beginning is frozen, if what its frozen modules give is not
    one vector per input (per token, of a model that ends in such), or if its pictures are changed
    at random; and both are where texts and pictures enter together.

    Args:
        encoder: Frozen as it will be trained.
        augmented: Pictures are changed at random.
        forms: What inputs are made of.
    """
    depths: dict[Modality, int] = {}
    sides: tuple[Modality, ...] = ("text",) if augmented else ("text", "image")
    for side in sides:
        if side not in forms or "both" in forms:
            continue
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
    documents = [pair.document for pair in dataset]
    found = [one for pair in dataset for one in pair.negatives]
    sides: list[tuple[Role, Input]] = [
        *(("document", one) for one in documents),
        *(("query", pair.query) for pair in dataset),
        *(("document", one) for one in found),
    ]
    contents = content_numbers([one for _, one in sides])
    numbers: dict[tuple[Slot, int, str | None], int] = {}
    members: dict[Slot, list[Input]] = {}
    slots: list[Slot] = []
    positions: list[int] = []
    as_documents: list[int] = []  # the contents of inputs
    number_of = []
    for (role, one), content in zip(sides, contents.tolist(), strict=True):
        slot: Slot = ("document" if one.form == "image" else role, one.form)
        key = (slot, content, one.text)
        if key not in numbers:
            numbers[key] = len(numbers)
            slots.append(slot)
            positions.append(len(members.setdefault(slot, [])))
            members[slot].append(one)
            as_documents.append(content)
        number_of.append(numbers[key])
    columns = {
        slot: _column(encoder, slot, inputs, depths, cache, augmentation, advance)
        for slot, inputs in members.items()
    }
    count, left = len(dataset), iter(number_of[2 * len(dataset) :])
    return PreparedPairs(
        Inputs(columns, tuple(slots), np.array(positions, np.int64)),
        queries=np.array(number_of[count : 2 * count], np.int64),
        documents=np.array(number_of[:count], np.int64),
        negatives=tuple(tuple(islice(left, len(pair.negatives))) for pair in dataset),
        query_ids=counted(contents[count : 2 * count]),
        document_ids=counted(np.array(as_documents, np.int64)),
    )


def _column(
    encoder: SentenceTransformerEncoder,
    slot: Slot,
    inputs: Sequence[Input],
    depths: dict[Modality, int],
    cache: Path,
    augmentation: Augmentation | None,
    advance: Advance,
) -> Column:
    """The column of a slot's inputs, stored as far as it is frozen."""
    role, form = slot
    texts = [one.text for one in inputs if one.text is not None]
    images = [one.image for one in inputs if one.image is not None]
    if form == "both":
        return FusedColumn(encoder, texts, images, role, augmentation)
    column: Column
    if form == "text":
        column = TextColumn(encoder, texts, role)
        # As a query is told, so is a document that enters as a query would.
        mark = "" if encoder.prompt(role) == encoder.prompt("query") else "document\0"
        digests = [hashlib.sha256(f"{mark}{text}".encode()).hexdigest() for text in texts]
    else:
        column = ImageColumn(encoder, images, augmentation)
        digests = [content_digest(reference) for reference in images]
    if form not in depths:
        return column
    depth = depths[form]
    store = FeatureCache(feature_folder(cache, encoder, form, depth))
    found = store.rows(
        digests,
        lambda positions: compute_features(encoder.model, form, depth, column, positions, advance),
    )
    if gives_tokens(encoder.model):
        return StoredTokens(found, form)
    return StoredColumn(np.stack(found), form)


def _gives_vectors(encoder: SentenceTransformerEncoder, side: Modality, depth: int) -> bool:
    """Whether the first modules end in vectors that can be stored; found by trying one input."""
    column: Column = TextColumn(encoder, ["a"])
    if side == "image":
        from PIL import Image

        column = ImageColumn(encoder, [ImageRef.of(Image.new("RGB", (64, 64)))])
    features = batch_to_device(column.features([0]), encoder.model.device)
    with torch.inference_mode():
        for module in side_modules(encoder.model, side)[:depth]:
            features = module.eval()(features)
    name, axes = "sentence_embedding", 2
    if gives_tokens(encoder.model):
        name, axes = "token_embeddings", 3
    vectors = features.get(name)
    return isinstance(vectors, torch.Tensor) and vectors.dim() == axes


def content_digest(reference: ImageRef) -> str:
    """The SHA-256 of a picture, read if it is not known."""
    return reference.sha256 or hashlib.sha256(reference.read_bytes()).hexdigest()
