"""`benchmarks.training_throughput` with a tiny CLIP on a CPU: what it counts and what it times."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from benchmarks import stopwatch
from benchmarks.generated_clip import save_clip, write_pairs
from benchmarks.training_throughput import Settings, Throughput, main, measure
from unisem import load_encoder
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder

BATCH, TOKENS, STEPS = 4, 12, 3
WIDTH, INNER, LAYERS, HEADS, SIDE, PATCH, DIMENSION = 32, 64, 2, 4, 32, 8, 24
TOWER = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
}
SETTINGS = Settings(batch=BATCH, steps=STEPS, warm_up=1, tokens=TOKENS)
SLOW = 0.25  # seconds that a picture's decoding takes in the test of what is timed


def tiny_clip() -> CLIPConfig:
    return CLIPConfig(
        text_config=TOWER | {"vocab_size": 100, "max_position_embeddings": 77},
        vision_config=TOWER | {"image_size": SIDE, "patch_size": PATCH},
        projection_dim=DIMENSION,
    )


def flops_by_hand() -> int:
    """Two FLOPs per multiplication and addition; backward there are two products for each one."""
    patches = (SIDE // PATCH) ** 2

    def tower(tokens: int) -> int:
        linear = tokens * (4 * WIDTH**2 + 2 * WIDTH * INNER)  # q, k, v, out; the two of the MLP
        attention = 2 * tokens**2 * WIDTH  # weights, and weighted values
        return LAYERS * (linear + attention)

    both_ways = BATCH * (tower(patches + 1) + tower(TOKENS) + 2 * WIDTH * DIMENSION)
    both_ways += BATCH**2 * DIMENSION  # cosines of all captions with all pictures
    # The pixels have no gradient, so the first layer has one product backward.
    embedding = BATCH * patches * 3 * PATCH**2 * WIDTH
    return 2 * (3 * both_ways + 2 * embedding)


NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=NO_CUDA)])
def found(request: pytest.FixtureRequest) -> Throughput:
    return measure(tiny_clip(), replace(SETTINGS, device=request.param))


def test_flops_are_those_of_the_formula(found: Throughput) -> None:
    assert found.flops == flops_by_hand()


def test_every_step_is_timed_and_shares_are_below_the_peak(found: Throughput) -> None:
    for seconds in (found.inputs, found.compute, found.pipeline):
        assert len(seconds) == STEPS
        assert min(seconds) > 0
    for seconds in (found.compute, found.pipeline):
        assert 0 < found.share(seconds) < 1.5
    assert found.rate > 1e8
    assert found.memory > 4 * sum(p.numel() for p in CLIPModel(tiny_clip()).parameters())


def test_decoding_is_in_the_pipeline_and_not_in_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = SentenceTransformerEncoder.prepare_image
    told = itertools.count()

    class Clock:
        """Tells a millionth of a second more each time, and what decoding takes."""

        now = 0.0

        def perf_counter(self) -> float:
            return self.now + next(told) * 1e-6

    clock = Clock()

    def slow(self: SentenceTransformerEncoder, image: Any) -> Any:
        clock.now += SLOW
        return prepare(self, image)

    monkeypatch.setattr(SentenceTransformerEncoder, "prepare_image", slow)
    monkeypatch.setattr(stopwatch, "time", clock)
    found = measure(tiny_clip(), replace(SETTINGS, steps=2))
    assert min(found.inputs) > SLOW
    assert sum(found.pipeline) > SLOW  # of two batches one at most was made ready before
    assert max(found.compute) < 1e-3


def test_figures_follow_from_the_seconds() -> None:
    seconds = (0.5, 0.25, 1.0)
    found = Throughput(Settings(batch=8), 400, 1000.0, seconds, seconds, seconds, 0)
    assert found.pictures(seconds) == (16.0, 8.0, 32.0)
    assert found.share(seconds) == pytest.approx(0.8)


def test_the_model_measured_has_the_size_of_clip_b32() -> None:
    with torch.device("meta"):
        model = CLIPModel(CLIPConfig())
    assert sum(p.numel() for p in model.parameters()) == 151_277_313
    assert model.config.vision_config.patch_size == 32


def test_captions_have_the_tokens_wanted_and_pairs_differ(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_clip(tmp_path / "clip", tiny_clip())))
    dataset = write_pairs(tmp_path / "pictures", 300, tokens=TOKENS)
    assert len(dataset) == 300
    assert len(set(dataset.query_ids.tolist())) == 300
    assert len(set(dataset.document_ids.tolist())) == 256
    features = encoder.model.preprocess([{"text": c} for c in dataset.captions])  # type: ignore[attr-defined]
    assert features["input_ids"].shape == (300, TOKENS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "abacus"], "'abacus' is no device"),
        (["--device", "cpu", "--precision", "float16"], "float16 needs a GPU"),
        (["--device", "cpu", "--tokens", "78"], "6 to 77 tokens, not 78"),
        (["--device", "cpu", "--steps", "0"], "at least one step"),
        (["--device", "cpu", "--batch", "1"], "at least 2 pairs"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["training_throughput", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err
