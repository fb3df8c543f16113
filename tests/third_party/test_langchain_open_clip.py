"""What `OpenCLIPEmbeddings` gets wrong, one test for each row of the list."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer

from langchain_unisem import UniSemEmbeddings
from tests.support.checkpoints import save_clip, save_two_towers
from tests.support.pictures import encoded, noise
from tests.support.toy import ToyEncoder
from unisem.errors import EncoderError, ImageError
from unisem.images.reference import ImageSource
from unisem.records import Vector


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights, as a directory."""
    return save_clip(tmp_path_factory.mktemp("clip"))


def test_the_model_that_was_named_is_loaded(checkpoint: Path) -> None:
    """There ``model=`` is silently replaced by the default."""
    embeddings = UniSemEmbeddings(model=str(checkpoint), device="cpu")
    assert embeddings.model == str(checkpoint)
    assert len(embeddings.embed_query("a tiger")) == 24


def test_inference_mode(tmp_path: Path) -> None:
    """There the model stays in training mode, where dropout makes every call another."""
    embeddings = UniSemEmbeddings(model=str(save_two_towers(tmp_path)), device="cpu")
    assert embeddings.embed_query("red word") == embeddings.embed_query("red word")
    model = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    model.train()
    noisy = [model.forward(model.preprocess(["red word"]))["sentence_embedding"] for _ in range(2)]
    assert not torch.equal(*noisy)  # this checkpoint would show it


def test_one_item_at_a_time() -> None:
    calls: list[tuple[str, int, int]] = []

    class Counting(ToyEncoder):
        def encode_texts(self, texts: Sequence[str], *args: Any, **options: Any) -> Vector:
            calls.append(("texts", len(texts), options["batch_size"]))
            return super().encode_texts(texts, *args, **options)

        def encode_images(self, images: Sequence[ImageSource], **options: Any) -> Vector:
            calls.append(("images", len(images), options["batch_size"]))
            return super().encode_images(images, **options)

    embeddings = UniSemEmbeddings(encoder=Counting(), batch_size=8)
    embeddings.embed_documents([f"text {n}" for n in range(20)])
    embeddings.embed_images([noise(n, (8, 8)) for n in range(20)])
    assert calls == [("texts", 20, 8), ("images", 20, 8)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
def test_all_files_opened_before_any_is_read(tmp_path: Path, checkpoint: Path) -> None:
    names = [str(tmp_path / f"{number}.png") for number in range(150)]
    for number, name in enumerate(names):
        Path(name).write_bytes(encoded(noise(number, (8, 8))))
    embeddings = UniSemEmbeddings(model=str(checkpoint), device="cpu")
    embeddings.embed_image(names[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 50, hard))
    try:
        assert len(embeddings.embed_image(names)) == 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_exif_orientation(tmp_path: Path, checkpoint: Path) -> None:
    halves = np.vstack([np.zeros((32, 64, 3)), np.full((32, 64, 3), 255)])
    upright = Image.fromarray(halves.astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "lying.png").write_bytes(encoded(lying, exif=exif))
    (tmp_path / "upright.png").write_bytes(encoded(upright))
    (tmp_path / "plain.png").write_bytes(encoded(lying))
    embeddings = UniSemEmbeddings(model=str(checkpoint), device="cpu")
    names = [str(tmp_path / f"{name}.png") for name in ("lying", "upright", "plain")]
    turned, wanted, unturned = np.array(embeddings.embed_image(names))
    assert np.allclose(turned, wanted, atol=1e-6)
    assert not np.allclose(turned, unturned, atol=1e-3)


def test_no_size_limit(tmp_path: Path, encoder: ToyEncoder) -> None:
    """A file of a few bytes that announces ten billion pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ImageError, match=r"bomb\.png: announces"):
        UniSemEmbeddings(encoder=encoder).embed_image([str(tmp_path / "bomb.png")])


def test_no_offline_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model that is not here is looked for at the hub only by its hub id."""
    asked: list[object] = []
    monkeypatch.setattr("socket.socket.connect", lambda *args: asked.append(args))
    for name in (tmp_path / "none", "./none", "/none"):
        with pytest.raises(EncoderError):
            UniSemEmbeddings(model=str(name))
    assert asked == []
