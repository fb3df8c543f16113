"""`export_onnx` on tiny checkpoints through the real loading code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.rerank.cross_modal.support import picture
from tests.support.checkpoints import save_clip, save_siglip, save_two_towers
from tests.support.networks import save_bert, save_vision
from tests.support.toy import ToyEncoder
from unisem import load_encoder
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.encoders.onnx import OnnxEncoder, export_onnx
from unisem.encoders.onnx.graph import Graph
from unisem.errors import EncoderError

KINDS: dict[str, Callable[[Path], Path]] = {
    "CLIP": save_clip,
    "SigLIP": save_siglip,
    "two towers": save_two_towers,
    "BERT": save_bert,
    "ViT": lambda directory: save_vision(directory, "ViT"),
}


@pytest.mark.parametrize(
    "kind",
    ["CLIP", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "CLIP")],
)
def test_an_export_gives_torchs_vectors_and_fingerprint(tmp_path: Path, kind: str) -> None:
    source = load_encoder(str(KINDS[kind](tmp_path / "start")))
    written = export_onnx(source, tmp_path / "exported")
    exported = load_encoder(str(tmp_path / "exported"), device="cpu")
    assert isinstance(exported, OnnxEncoder)
    assert exported.fingerprint == source.fingerprint
    assert all(cosine > 0.9999 for cosine in written.cosines.values())
    if "text" in written.cosines:
        texts = ["a cat", "the cat and the dog " * 40, "x"]
        for role in ("query", "document"):
            ours, theirs = (one.encode_texts(texts, role) for one in (exported, source))  # type: ignore[arg-type]
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    if "image" in written.cosines:
        pictures = [picture("red"), Image.effect_noise((333, 90), 60).convert("RGB")]
        ours, theirs = (one.encode_images(pictures) for one in (exported, source))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for side in written.cosines:  # weights stay in their files, once
        assert len(Graph.read(tmp_path / "exported" / "onnx" / f"{side}.onnx").outside) > 10
    files = (set(weights(tmp_path / name)) for name in ("exported", source.name))
    assert next(files) == next(files)
    torch_again = load_encoder(str(tmp_path / "exported"), runtime="torch")
    assert torch_again.fingerprint == source.fingerprint


def weights(directory: Path) -> Iterator[str]:
    yield from (str(path.relative_to(directory)) for path in directory.rglob("*.safetensors"))


@pytest.mark.slow
def test_an_export_of_an_export_is_the_same(tmp_path: Path) -> None:
    export_onnx(load_encoder(str(save_clip(tmp_path / "start"))), tmp_path / "one")
    export_onnx(load_encoder(str(tmp_path / "one"), device="cpu"), tmp_path / "two")
    for side in ("text", "image"):
        one, two = (tmp_path / name / "onnx" / f"{side}.onnx" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_int8_is_another_encoder_without_the_files(tmp_path: Path) -> None:
    source = load_encoder(str(save_two_towers(tmp_path / "start")))
    written = export_onnx(source, tmp_path / "small", int8=True)
    small = load_encoder(str(tmp_path / "small"), device="cpu")
    assert small.fingerprint != source.fingerprint
    assert not list((tmp_path / "small").rglob("*.safetensors"))
    assert 0.9 < written.cosines["text"] < 1
    assert small.encode_texts(["a cat"]).shape == (1, source.dimension)
    with pytest.raises(EncoderError, match="int8"):
        load_encoder(str(tmp_path / "small"), runtime="torch").encode_texts(["a"])


@pytest.mark.slow
def test_int8_of_convolutions_wants_examples(tmp_path: Path) -> None:
    settings = {"embedding_size": 16, "hidden_sizes": [32, 64], "depths": [1, 1], "num_channels": 3}
    source = load_encoder(str(save_vision(tmp_path / "start", "ResNet", **settings)))
    with pytest.raises(EncoderError, match="example pictures"):
        export_onnx(source, tmp_path / "small", int8=True)
    assert not list(tmp_path.glob("*small*"))  # nothing half made is left
    pictures = [picture(colour) for colour in ("red", "blue", "green")]
    export_onnx(source, tmp_path / "small", int8=True, pictures=pictures)
    small = load_encoder(str(tmp_path / "small"), device="cpu")
    assert small.encode_images(pictures).shape == (3, source.dimension)


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="ToyEncoder"):
        export_onnx(ToyEncoder(), tmp_path / "x")
    (tmp_path / "there").mkdir()
    with pytest.raises(EncoderError, match="there already"):
        export_onnx(load_encoder("mini"), tmp_path / "there")


@pytest.mark.slow
def test_minis_graphs_are_what_the_exporter_writes(tmp_path: Path) -> None:
    export_onnx(load_encoder("mini"), tmp_path / "mini")
    for path in sorted((MODEL_DIRECTORY / "onnx").iterdir()):
        assert (tmp_path / "mini" / "onnx" / path.name).read_bytes() == path.read_bytes()
