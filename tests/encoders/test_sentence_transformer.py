"""Encoders of every family, from tiny checkpoints through the real loading code."""

from __future__ import annotations

import pickle
import shutil
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkpoints import save_clip, save_siglip, save_two_towers
from tests.support.pictures import encoded, noise, solid
from unisem import Encoder, load_encoder
from unisem.errors import EncoderError, ImageError

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "clip": save_clip,
    "siglip": save_siglip,
    "two_towers": save_two_towers,
}


@pytest.fixture(scope="module", params=FAMILIES)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    directory = tmp_path_factory.mktemp(request.param)
    return load_encoder(str(FAMILIES[request.param](directory)))


def test_shapes_types_and_norms(encoder: Encoder) -> None:
    texts = encoder.encode_texts(["a red tiger", "blue", ""])
    images = encoder.encode_images([noise(0), noise(1)])
    for vectors, count in ((texts, 3), (images, 2)):
        assert vectors.shape == (count, encoder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode_texts([]).shape == (0, encoder.dimension)
    assert encoder.encode_images([]).shape == (0, encoder.dimension)


def test_order_and_batching_do_not_matter(encoder: Encoder) -> None:
    texts = ["a", "a red tiger " * 3, "blue", "tiger a"] * 3
    together = encoder.encode_texts(texts, batch_size=5)
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    pictures = [noise(n, (20 + 9 * n, 40)) for n in range(7)]
    together = encoder.encode_images(pictures, batch_size=3)
    alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_sources_of_one_picture_agree(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise(5).save(path)
    rows = encoder.encode_images([path, str(path), path.read_bytes(), noise(5)])
    np.testing.assert_allclose(rows, rows[[0, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_over_long_text_is_truncated_and_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, family: str
) -> None:
    encoder = load_encoder(str(FAMILIES[family](tmp_path)))
    encoder.encode_texts(["a red tiger", "x" * 70])
    assert "tokens of a text" not in caplog.text
    for _ in range(2):
        long = ["a blue tiger", "a red tiger " * 500]
        assert np.isfinite(encoder.encode_texts(long)).all()
    (said,) = [it.getMessage() for it in caplog.records if "tokens of a text" in it.getMessage()]
    assert "its end is not embedded" in said
    assert "'a red tiger a red" in said


def test_a_text_that_looks_like_a_url_or_path_is_text(encoder: Encoder, tmp_path: Path) -> None:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    solid("red").save(tmp_path / "a.png")
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/a.png"
        texts = [url, str(tmp_path / "a.png"), "data:image/png;base64,AAAA", "file:///etc/passwd"]
        picture = encoder.encode_images([solid("red")])[0]
        for role in ("query", "document"):
            vectors = encoder.encode_texts(texts, role=role)  # type: ignore[arg-type]
            assert vectors.shape == (4, encoder.dimension)
            assert np.abs(vectors - picture).max(axis=1).min() > 1e-3
        with pytest.raises(ImageError, match="fetches nothing"):
            encoder.encode_images([url])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert seen == []


def test_progress_counts_every_input(encoder: Encoder) -> None:
    done: list[int] = []
    encoder.encode_texts(["a"] * 7, batch_size=3, progress=done.append)
    encoder.encode_images([noise(0)] * 4, batch_size=3, progress=done.append)
    assert done == [3, 3, 1, 3, 1]


def test_bad_arguments(encoder: Encoder) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        encoder.encode_texts("a")
    with pytest.raises(TypeError, match=r"texts\[1\] is int"):
        encoder.encode_texts(["a", 1])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="list of pictures"):
        encoder.encode_images("a.png")
    with pytest.raises(ValueError, match="role"):
        encoder.encode_texts(["a"], role="passage")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="damaged or truncated"):
        encoder.encode_images([noise(0), encoded(noise(1))[:900]])


def test_threads_share_an_encoder(encoder: Encoder) -> None:
    texts = [f"a {'red ' * n}tiger" for n in range(1, 9)]
    expected = encoder.encode_texts(texts)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: encoder.encode_texts([text])[0], texts * 4))
    np.testing.assert_allclose(rows, np.concatenate([expected] * 4), atol=1e-5)


def test_clip_equals_transformers_own_features(tmp_path: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    directory = save_clip(tmp_path)
    model, processor = (
        CLIPModel.from_pretrained(directory),
        CLIPProcessor.from_pretrained(directory),
    )
    inputs = processor(text=["a red tiger"], images=[noise(0)], return_tensors="pt")
    with torch.inference_mode():
        output = model.eval()(**inputs)
    encoder = load_encoder(str(directory))
    np.testing.assert_allclose(
        encoder.encode_texts(["a red tiger"]), output.text_embeds.numpy(), atol=1e-5
    )
    np.testing.assert_allclose(
        encoder.encode_images([noise(0)]), output.image_embeds.numpy(), atol=1e-5
    )


def test_siglip_equals_transformers_own_features_at_full_text_length(tmp_path: Path) -> None:
    import torch
    from transformers import SiglipModel, SiglipProcessor

    directory = save_siglip(tmp_path)
    model = SiglipModel.from_pretrained(directory).eval()
    processor = SiglipProcessor.from_pretrained(directory)
    texts = ["a red tiger", "blue"]
    inputs = processor(text=texts, images=[noise(0)], padding="max_length", return_tensors="pt")
    assert inputs["input_ids"].shape == (2, 16)
    with torch.inference_mode():
        output = model(**inputs)
    encoder = load_encoder(str(directory))
    np.testing.assert_allclose(encoder.encode_texts(texts), output.text_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(
        encoder.encode_images([noise(0)]), output.image_embeds.numpy(), atol=1e-5
    )


def test_a_tokenizer_without_a_limit_truncates_at_the_models_positions(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_clip(tmp_path, stated_limit=False)))
    assert np.isfinite(encoder.encode_texts(["a red tiger " * 500])).all()


def test_query_prompt_is_used_for_queries_only(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_two_towers(tmp_path)))
    query = encoder.encode_texts(["red"], role="query")
    np.testing.assert_allclose(query, encoder.encode_texts(["ask word red"]), atol=1e-5)
    assert np.abs(query - encoder.encode_texts(["red"])).max() > 1e-3


def test_reloaded_softmax_has_its_axis(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_two_towers(tmp_path)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode_images([noise(0), noise(1)])


def test_fingerprint_follows_the_weights_not_the_place(tmp_path: Path) -> None:
    first = save_clip(tmp_path / "a")
    shutil.copytree(first, tmp_path / "b")
    assert load_encoder(str(first)).fingerprint == load_encoder(str(tmp_path / "b")).fingerprint
    (tmp_path / "b" / "README.md").write_text("notes do not matter")
    assert load_encoder(str(first)).fingerprint == load_encoder(str(tmp_path / "b")).fingerprint
    weights = tmp_path / "b" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert load_encoder(str(first)).fingerprint != load_encoder(str(tmp_path / "b")).fingerprint


def test_a_pickled_part_beside_safe_ones_is_refused(tmp_path: Path) -> None:
    directory = save_two_towers(tmp_path)
    first, second, *_ = sorted(directory.rglob("model.safetensors"))
    second.rename(second.with_name("pytorch_model.bin"))
    assert first.exists()
    with pytest.raises(EncoderError, match=r"parts without \.safetensors.*/pytorch_model\.bin"):
        load_encoder(str(directory))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    directory = save_clip(tmp_path)
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"pytorch_model\.bin.*not loaded"):
        load_encoder(str(directory))


def test_damaged_weights_are_an_error_of_the_encoder(tmp_path: Path) -> None:
    directory = save_clip(tmp_path)
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(EncoderError, match="does not load"):
        load_encoder(str(directory)).encode_texts(["a"])


def test_foreign_code_is_not_run(tmp_path: Path) -> None:
    directory = save_two_towers(tmp_path)
    modules = (directory / "modules.json").read_text()
    (directory / "modules.json").write_text(
        modules.replace(
            "sentence_transformers.base.modules.normalize.Normalize", "evil.Evil"
        ).replace("sentence_transformers.base.modules.router.Router", "evil.Evil")
    )
    assert "evil.Evil" in (directory / "modules.json").read_text()
    (directory / "evil.py").write_text("raise SystemExit('foreign code ran')")
    with pytest.raises(EncoderError, match=r"needs code of its own \(evil\.Evil\)"):
        load_encoder(str(directory)).encode_texts(["a"])


@pytest.mark.parametrize("name", ["nonsense", "./nowhere", "/nowhere/at/all"])
def test_unknown_names_are_clear(name: str) -> None:
    with pytest.raises(EncoderError, match="pass 'mini', an existing directory"):
        load_encoder(name)


def test_hub_id_without_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match=r"neither in the local cache.*encoder='mini'"):
        load_encoder("somebody/some-model-that-does-not-exist")


def test_text_only_model_says_so(tmp_path: Path) -> None:
    save_two_towers(tmp_path)
    encoder = load_encoder(str(tmp_path / "parts" / "bert"))
    assert encoder.encode_texts(["a red tiger"]).shape == (1, 32)
    with pytest.raises(EncoderError, match="no image side"):
        encoder.encode_images([noise(0)])


def test_an_encoder_is_returned_as_it_is(encoder: Encoder) -> None:
    assert load_encoder(encoder) is encoder


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near(encoder: Encoder, dtype: str) -> None:
    half = load_encoder(str(encoder.name), dtype=dtype)
    texts, pictures = ["a red tiger"], [noise(0)]
    assert float(np.vdot(half.encode_texts(texts), encoder.encode_texts(texts))) > 0.999
    assert float(np.vdot(half.encode_images(pictures), encoder.encode_images(pictures))) > 0.999


def test_an_encoder_travels_to_another_process_by_name(encoder: Encoder) -> None:
    half = load_encoder(encoder.name, dtype="bfloat16")
    data = pickle.dumps(half)
    assert len(data) < 2000
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.encode_texts(["a"]), half.encode_texts(["a"]))


def test_lone_surrogates_are_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=r"texts\[1\] is not valid Unicode"):
        encoder.encode_texts(["a", "\ud800"])


def test_dtype_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dtype"):
        load_encoder(str(save_clip(tmp_path)), dtype="int8")
