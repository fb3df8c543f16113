"""Pictures need no torchvision; what does need it says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import noise
from unisem import Encoder, load_encoder
from unisem.errors import EncoderError

pytestmark = pytest.mark.skipif(
    find_spec("torchvision") is not None,
    reason="torchvision is installed",
)
SEES_FILMS = ("EmbeddingGemma 2", "Qwen3-VL-Embedding")


@pytest.mark.parametrize("name", SEES_FILMS)
def test_what_prepares_films_is_kept_when_a_model_is_saved(
    name: str, loaded: Callable[[str], Encoder], checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    encoder = loaded(name)
    encoder.model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)  # type: ignore[attr-defined]
    saved = json.loads((tmp_path / "saved" / "processor_config.json").read_text())
    assert saved["video_processor"]["video_processor_type"].endswith("VideoProcessor")
    assert saved["video_processor"]["patch_size"] == saved["image_processor"]["patch_size"]
    again = load_encoder(str(tmp_path / "saved"))
    pictures = [noise(0), noise(1, (50, 20))]
    np.testing.assert_allclose(
        again.encode_images(pictures), encoder.encode_images(pictures), atol=1e-5
    )


def test_transformers_is_left_as_it_was(loaded: Callable[[str], Encoder]) -> None:
    from transformers.models.auto import video_processing_auto
    from transformers.processing_utils import MODALITY_TO_BASE_CLASS_MAPPING

    loaded(SEES_FILMS[0]).encode_texts(["a"])
    assert video_processing_auto.AutoVideoProcessor.__name__ == "AutoVideoProcessor"
    assert MODALITY_TO_BASE_CLASS_MAPPING["video_processor"] == "VideoProcessorMixin"


def test_a_picture_processor_that_only_torchvision_has_is_one_sentence(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(checkpoint("CLIP"), tmp_path / "copy"))
    described = json.loads((copy / "processor_config.json").read_text())
    described["image_processor"]["image_processor_type"] = "Sam2ImageProcessor"
    (copy / "processor_config.json").write_text(json.dumps(described))
    with pytest.raises(EncoderError, match="torchvision alone, which is not installed; install"):
        load_encoder(str(copy)).encode_images([noise(0)])
