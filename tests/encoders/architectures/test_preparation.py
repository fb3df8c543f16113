"""A fingerprint says how inputs are prepared where that was ever otherwise, nothing elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.encoders.architectures.kinds import ARCHITECTURES
from tests.support.pictures import noise
from unisem import Encoder, Record, SemanticSpace, load_encoder
from unisem.cli.app import application
from unisem.encoders.onnx.description import Description, Words
from unisem.encoders.onnx.encoder import OnnxEncoder
from unisem.errors import EncoderError, EncoderMismatchError
from unisem.models.finding import digest_model, preparation_of

PREPARED = {
    "SigLIP 2": {"lower case": 1},
    "SigLIP 2 NaFlex": {"saved pixels": 1},
    "EmbeddingGemma 2": {"lone images": 1, "prompts": 1},
}


def test_only_kinds_whose_preparation_changed_have_another_fingerprint(
    name: str, checkpoint: Callable[[str], Path]
) -> None:
    directory = checkpoint(name)
    encoder = load_encoder(str(directory))
    assert preparation_of(directory).versions == PREPARED.get(name, {})
    digest = digest_model(directory)
    if name in PREPARED:
        assert encoder.fingerprint != digest == encoder.former_fingerprint
    else:
        assert encoder.fingerprint == digest
        assert encoder.former_fingerprint is None
    pictures_changed = name in PREPARED and name != "SigLIP 2"  # lower case is of texts
    assert (encoder.image_fingerprint != digest) is pictures_changed


def test_published_patches_are_what_they_were(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(checkpoint("SigLIP 2 NaFlex"), tmp_path / "copy"))
    file = copy / "processor_config.json"
    known = json.loads(file.read_text())
    known["image_processor"] |= {"max_num_patches": 256, "patch_size": 16}
    file.write_text(json.dumps(known))
    assert not preparation_of(copy).versions
    (copy / "preprocessor_config.json").write_text(json.dumps({"max_num_patches": 1024}))
    del known["image_processor"]
    file.write_text(json.dumps(known))
    assert preparation_of(copy).versions == {"saved pixels": 1}
    file.write_text("{")  # loading says what is wrong
    assert preparation_of(copy).versions == {"saved pixels": 1}


@pytest.mark.parametrize(
    ("prompts", "default", "changed"),
    [
        ({"query": "a photo ", "document": "x", "passage": "y"}, None, False),
        ({"query": "", "document": ""}, None, False),
        ({"query": "", "document": "", "classify": "z"}, None, False),
        ({"document": "", "passage": "y"}, None, True),
        ({"SearchQuery": "y"}, None, True),
        ({"query": "q", "passage": "p", "any": "y"}, "any", False),
        ({"query": "q", "passage": "p"}, None, False),
        ({"query": "q", "any": "y"}, "any", True),
        ({"any": "y"}, "any", True),
        ({"query": "x", "document": "x", "any": "y"}, "any", False),
        ({"query": 5, "document": []}, [], False),
        ("", None, False),
    ],
)
def test_prompts_that_are_chosen_otherwise_are_told(
    tmp_path: Path, prompts: Any, default: Any, changed: bool
) -> None:
    known = {"prompts": prompts, "default_prompt_name": default}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(known))
    assert bool(preparation_of(tmp_path).versions) is changed


@pytest.fixture
def made_before(checkpoint: Callable[[str], Path], tmp_path: Path) -> tuple[Path, Encoder]:
    """A space of SigLIP 2 as it was before texts were put into lower case."""
    encoder = load_encoder(str(checkpoint("SigLIP 2")))
    place = tmp_path / "s.unisem"
    with SemanticSpace.open(place, encoder=encoder, copy_images=True) as space:
        noise(1, (40, 40)).save(tmp_path / "a.png")
        space.add([Record(id="a", text="A Cat", image=tmp_path / "a.png")])
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["fingerprint"] = encoder.former_fingerprint
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place, encoder


def test_a_space_of_before_is_refused_and_embedded_anew_by_what_the_error_says(
    made_before: tuple[Path, Encoder], tmp_path: Path
) -> None:
    place, encoder = made_before
    with pytest.raises(EncoderMismatchError, match="were prepared as they are now") as raised:
        SemanticSpace.open(place)
    with pytest.raises(EncoderMismatchError, match="were prepared as they are now"):
        SemanticSpace.open(place, encoder=encoder)
    commands = [part for part in str(raised.value).split("`") if part.startswith("unisem ")]
    for command in commands:
        words = command.replace("DIR", str(tmp_path / "out")).replace("NEW", str(tmp_path / "new"))
        done = CliRunner().invoke(application(), words.split()[1:])
        assert done.exit_code == 0, done.output
    with SemanticSpace.open(tmp_path / "new") as space:
        assert space.encoder.fingerprint == encoder.fingerprint
        (kept,) = space.store.vectors(["a"])
        assert kept is not None
        np.testing.assert_array_equal(kept["text"], encoder.encode_texts(["a cat"])[0])
        picture = encoder.encode_images([tmp_path / "a.png"])[0]
        np.testing.assert_array_equal(kept["image"], picture)


def test_pictures_are_not_embedded_again_where_only_texts_were_prepared_otherwise(
    made_before: tuple[Path, Encoder], checkpoint: Callable[[str], Path]
) -> None:
    place, encoder = made_before
    with pytest.raises(EncoderMismatchError, match=r"--vectors renew-texts`$"):
        SemanticSpace.open(place)
    cut = load_encoder(str(checkpoint("SigLIP 2")), dimension=8)
    assert cut.former_fingerprint not in (None, encoder.former_fingerprint)
    assert cut.image_fingerprint == cut.former_fingerprint


def test_an_export_of_before_is_what_it_was(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(checkpoint("SigLIP 2"), tmp_path / "copy"))
    torch = load_encoder(str(copy))
    (copy / "onnx").mkdir()
    words = Words(tokenizer="tokenizer.json", length=64, fill=True, pad=0, special=())
    now = Description(
        dimension=32, words=words, pixels=None, preparation=preparation_of(copy).versions
    )
    now.write(copy)
    assert Description.read(copy) == now
    assert OnnxEncoder("x", copy).fingerprint == torch.fingerprint
    assert OnnxEncoder("x", copy).image_fingerprint == torch.image_fingerprint
    Description(dimension=32, words=words, pixels=None).write(copy)  # as it was written before
    assert "preparation" not in (copy / "onnx" / "unisem_onnx.json").read_text()
    assert OnnxEncoder("x", copy).fingerprint == torch.former_fingerprint
    assert OnnxEncoder("x", copy).former_fingerprint is None


@pytest.mark.parametrize("said", [5, {"prompts": "x"}, {"prompts": 0}, ["prompts"]])
def test_a_damaged_description_is_refused(said: object, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    words = Words(tokenizer="tokenizer.json", length=64, fill=True, pad=0, special=())
    Description(dimension=32, words=words, pixels=None).write(tmp_path)
    file = tmp_path / "onnx" / "unisem_onnx.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"preparation": said}))
    with pytest.raises(EncoderError, match="damaged"):
        Description.read(tmp_path)


def test_every_architecture_that_is_told_of_is_tested() -> None:
    assert PREPARED.keys() < ARCHITECTURES.keys()
