"""The columns of the table in ``docs/guides/choosing_an_encoder.md``: one test each."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from tests.encoders.architectures.kinds import Architecture
from tests.support.pictures import noise
from unisem import Encoder, load_encoder
from unisem.encoders.base import Role
from unisem.encoders.onnx import export_onnx
from unisem.errors import EncoderError

TEXTS = ["a red cat", "Blue Snow in the photo", "a", "the dog and the cat and the car of the word"]
PICTURES = [noise(0), noise(1, (50, 20)), noise(2, (90, 200)), noise(3, (33, 31))]


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray((ours * theirs).sum(axis=1) / norms)


def test_loads(encoder: Encoder) -> None:
    for vectors in (encoder.encode_texts(TEXTS), encoder.encode_images(PICTURES)):
        assert vectors.shape == (4, encoder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        apart = vectors @ vectors.T - np.eye(4)
        assert apart.max() < 0.9999  # or anything would equal anything
    assert len(encoder.fingerprint) == 64


def test_equals_reference(encoder: Encoder, architecture: Architecture, directory: Path) -> None:
    import torch

    reference = architecture.reference(directory)
    with torch.inference_mode():
        for role in get_args(Role):
            theirs = torch.stack([reference.text(text, role) for text in TEXTS])
            theirs = torch.nn.functional.normalize(theirs, dim=-1).numpy()
            np.testing.assert_allclose(encoder.encode_texts(TEXTS, role), theirs, atol=1e-4)
        theirs = torch.stack([reference.image(picture) for picture in PICTURES])
        theirs = torch.nn.functional.normalize(theirs, dim=-1).numpy()
    np.testing.assert_allclose(encoder.encode_images(PICTURES), theirs, atol=1e-4)


def test_batch_independent(encoder: Encoder) -> None:
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), alone, atol=1e-5)
    alone = np.concatenate([encoder.encode_images([picture]) for picture in PICTURES])
    np.testing.assert_allclose(encoder.encode_images(PICTURES, batch_size=3), alone, atol=1e-5)


def test_fused(encoder: Encoder, architecture: Architecture, directory: Path) -> None:
    import torch

    assert encoder.fuses == architecture.fused
    if not architecture.fused:
        with pytest.raises(EncoderError):
            encoder.encode_pairs(TEXTS, PICTURES)
        return
    pair = architecture.reference(directory).pair
    assert pair is not None
    for role in get_args(Role):
        with torch.inference_mode():
            asked = zip(TEXTS, PICTURES, strict=True)
            theirs = torch.stack([pair(text, picture, role) for text, picture in asked])
            theirs = torch.nn.functional.normalize(theirs, dim=-1).numpy()
        ours = encoder.encode_pairs(TEXTS, PICTURES, role, batch_size=3)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_truncation(encoder: Encoder) -> None:
    long = "a red cat " * 300
    texts = [long, f"{long} blue dog", f"blue dog {long}"]
    kept, tail, head = encoder.encode_texts(texts)
    np.testing.assert_allclose(tail, kept, atol=1e-6)  # its end is not read
    assert np.abs(head - kept).max() > 1e-4  # its beginning is
    assert not encoder.reads_whole(long)
    assert encoder.reads_whole("a red cat")


def test_shorter_vectors(encoder: Encoder, architecture: Architecture, directory: Path) -> None:
    short = load_encoder(str(directory), dimension=8)
    for ours, whole in (
        (short.encode_texts(TEXTS), encoder.encode_texts(TEXTS)),
        (short.encode_images(PICTURES), encoder.encode_images(PICTURES)),
    ):
        first = whole[:, :8]
        theirs = first / np.linalg.norm(first, axis=1, keepdims=True)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert short.dimension == 8
    assert short.fingerprint != encoder.fingerprint


def test_half_precision(encoder: Encoder, architecture: Architecture, directory: Path) -> None:
    half = load_encoder(str(directory), dtype="bfloat16")
    assert cosines(half.encode_texts(TEXTS), encoder.encode_texts(TEXTS)).min() > architecture.half
    pictures = cosines(half.encode_images(PICTURES), encoder.encode_images(PICTURES))
    assert pictures.min() > architecture.half


@pytest.mark.slow
def test_onnx_export(encoder: Encoder, architecture: Architecture, tmp_path: Path) -> None:
    if architecture.exported is not None:
        with pytest.raises(EncoderError, match=architecture.exported):
            export_onnx(encoder, tmp_path / "exported")
        return
    export_onnx(encoder, tmp_path / "exported")
    exported = load_encoder(str(tmp_path / "exported"), runtime="onnx")
    for role in get_args(Role):
        ours, theirs = (one.encode_texts(TEXTS, role) for one in (exported, encoder))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    large = [*PICTURES, Image.effect_noise((333, 90), 60).convert("RGB")]
    ours, theirs = (one.encode_images(large) for one in (exported, encoder))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
