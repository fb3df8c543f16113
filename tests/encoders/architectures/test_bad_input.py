"""What is wrong with a checkpoint is one error that says so, whatever its architecture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.encoders.architectures.kinds import Architecture
from tests.support.networks import without_weights
from tests.support.pictures import noise
from unisem import load_encoder
from unisem.errors import EncoderError


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    """A checkpoint to be damaged."""
    return Path(shutil.copytree(directory, tmp_path / "copy"))


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_missing_weights_are_named(copy: Path, architecture: Architecture) -> None:
    start, file = architecture.lost
    without_weights(copy, start, file)
    with pytest.raises(EncoderError, match=r"not whole: its files lack \S*layers?\.1\."):
        load_encoder(str(copy)).encode_texts(["a cat"])


def test_another_kind_is_called_what_it_is(copy: Path) -> None:
    described = copy / "config_sentence_transformers.json"
    if described.is_file():
        changed(described, model_type="CrossEncoder")
    else:
        changed(copy / "config.json", architectures=["XForSequenceClassification"])
    with pytest.raises(EncoderError, match=r"is a cross encoder.*load_reranker"):
        load_encoder(str(copy))


def test_foreign_code_is_refused_and_not_imported(copy: Path) -> None:
    code = "raise SystemExit('foreign code ran')"
    (copy / "custom_model.py").write_text(code)
    if (copy / "modules.json").is_file():
        listed = json.loads((copy / "modules.json").read_text())
        listed[0]["type"] = "custom_model.Transformer"
        (copy / "modules.json").write_text(json.dumps(listed))
    else:
        code_map = {"AutoModel": "custom_model.Model", "AutoConfig": "custom_model.Config"}
        changed(copy / "config.json", model_type="jina_clip", auto_map=code_map)
    with pytest.raises(EncoderError, match=r"needs code of its own \(custom_model\.\w+\), and"):
        load_encoder(str(copy)).encode_texts(["a cat"])


def test_a_configuration_that_lies_about_sizes(copy: Path) -> None:
    config = copy / "config.json"
    if not config.is_file():
        config = copy / "image_0_Transformer" / "config.json"
    known = json.loads(config.read_text())
    if "projection_dim" in known:
        known["projection_dim"] *= 2
    else:
        known.get("vision_config", known)["hidden_size"] *= 2
    config.write_text(json.dumps(known))
    with pytest.raises(EncoderError):  # in another shape, or does not run
        load_encoder(str(copy)).encode_images([noise(0)])


def test_without_a_picture_processor_there_is_no_image_side(copy: Path) -> None:
    """A model without the files that prepare pictures never embeds any."""
    for path in [*copy.rglob("*processor_config.json")]:
        path.unlink()
    with pytest.raises(EncoderError):
        load_encoder(str(copy)).encode_images([noise(0)])
