"""Image-to-text models from tiny checkpoints: captions, batches, prompts, files not whole.

The oracle is the same checkpoint loaded by its own class, one picture at a time.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.support.image_to_text import save_blip, save_encoder_decoder, save_git, save_talking
from tests.support.networks import save_bert, without_weights
from tests.support.pictures import encoded, noise, solid
from unisem.captioners import ImageToTextCaptioner, load_captioner
from unisem.errors import CaptionerError, ImageError

SAVERS: dict[str, Callable[[Path], Path]] = {
    "blip": save_blip,
    "git": save_git,
    "encoder and decoder": save_encoder_decoder,
    "talking": save_talking,
}
PICTURES = [*(noise(n, (50 + 9 * n, 40)) for n in range(4)), solid("red"), solid("black")]


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save(tmp_path_factory.mktemp("model")) for kind, save in SAVERS.items()}


@pytest.fixture(scope="module", params=SAVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def reference(
    directory: Path, kind: str, pictures: Sequence[Image.Image], prompt: str | None = None
) -> list[str | None]:
    """What the model's own classes give."""
    import transformers

    cls = {
        "blip": transformers.BlipForConditionalGeneration,
        "git": transformers.GitForCausalLM,
        "encoder and decoder": transformers.VisionEncoderDecoderModel,
        "talking": transformers.LlavaForConditionalGeneration,
    }[kind]
    model: Any = cls.from_pretrained(directory, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    if kind == "encoder and decoder":
        processor: Any = transformers.AutoImageProcessor.from_pretrained(directory)
    else:
        processor = transformers.AutoProcessor.from_pretrained(directory)
    found: list[str | None] = []
    for picture in pictures:
        inputs: dict[str, Any] = {}
        if kind == "talking":
            inputs["text"] = f"<image> {prompt} photo of "
        elif prompt is not None:
            inputs["text"] = prompt
        made = processor(images=picture, return_tensors="pt", **inputs)
        with torch.no_grad():
            ids = model.generate(**made, max_new_tokens=8, do_sample=False)[0]
        if kind == "talking":
            ids = ids[made["input_ids"].shape[1] :]
        found.append(tokenizer.decode(ids, skip_special_tokens=True).strip() or None)
    return found


@pytest.mark.parametrize("batch_size", [1, 4])
def test_captions_are_the_models_own(
    directories: dict[str, Path], kind: str, batch_size: int
) -> None:
    prompt = "a red photo" if kind == "talking" else None
    captioner = ImageToTextCaptioner(
        "m", directories[kind], prompt=prompt, max_tokens=8, batch_size=batch_size
    )
    found = captioner.caption(PICTURES)
    assert found == reference(directories[kind], kind, PICTURES, prompt)
    assert len(set(map(str, found))) > 1, "else any caption would do"


def test_a_prompt_is_gone_on_from(directories: dict[str, Path]) -> None:
    captioner = ImageToTextCaptioner("m", directories["blip"], prompt="a photo of", max_tokens=8)
    found = captioner.caption(PICTURES)
    assert found == reference(directories["blip"], "blip", PICTURES, "a photo of")
    assert all(str(text).startswith("a photo of") for text in found)


def test_the_fingerprint_tells_what_may_write_otherwise(directories: dict[str, Path]) -> None:
    one = load_captioner(directories["blip"])
    assert one.fingerprint == load_captioner(str(directories["blip"])).fingerprint
    assert pickle.loads(pickle.dumps(one)).fingerprint == one.fingerprint
    others = [
        load_captioner(directories["git"]),
        load_captioner(directories["blip"], beams=2),
        load_captioner(directories["blip"], prompt="a"),
        load_captioner(directories["blip"], max_tokens=5),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_bad_pictures_cost_their_own_place(directories: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(encoded(noise(1))[:200])
    captioner = ImageToTextCaptioner("m", directories["blip"], max_tokens=8, batch_size=2)
    sources = [PICTURES[0], tmp_path / "broken.png", tmp_path / "none.png", PICTURES[1]]
    found = captioner.caption(sources)
    assert [isinstance(it, ImageError) for it in found] == [False, True, True, False]
    assert [found[0], found[3]] == reference(directories["blip"], "blip", PICTURES[:2])
    assert captioner.caption([]) == []


def test_what_is_no_captioner_is_refused(directories: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CaptionerError, match="no captioner 'nothing'"):
        load_captioner("nothing")
    bert = load_captioner(save_bert(tmp_path / "bert"))
    with pytest.raises(CaptionerError, match="does not load"):
        bert.caption(PICTURES[:1])
    with pytest.raises(ValueError, match="vocabulary is for"):
        load_captioner(directories["blip"], vocabulary=["a"])
    with pytest.raises(ValueError, match="beams must be"):
        load_captioner(directories["blip"], beams=0)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("blip", "text_decoder.bert.encoder.layer.1"),
        ("git", "git.encoder.layer.0"),
        ("encoder and decoder", "decoder.transformer.h.0"),
        ("talking", "layers.0.self_attn.q_proj"),
    ],
)
def test_weights_that_are_missing_are_no_random_numbers(
    tmp_path: Path, kind: str, part: str
) -> None:
    directory = SAVERS[kind](tmp_path / "model")
    with safe_open(directory / "model.safetensors", "pt") as file:
        names = list(file.keys())
    without_weights(directory, next(name for name in names if part in name))
    with pytest.raises(CaptionerError, match="is not whole: its files lack"):
        load_captioner(directory).caption(PICTURES[:1])


def test_weights_that_nothing_depends_on_may_be_missing(tmp_path: Path) -> None:
    directory = save_encoder_decoder(tmp_path / "model")
    before = load_captioner(directory, max_tokens=8).caption(PICTURES)
    without_weights(directory, "encoder.pooler")
    assert load_captioner(directory, max_tokens=8).caption(PICTURES) == before
