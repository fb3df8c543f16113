"""Input that is made by threads, and ahead of the model, is what one call would make in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.checkpoints import save_clip, save_siglip, save_two_towers
from tests.support.networks import save_prompted_vlm
from tests.support.pictures import noise
from tests.training.support import assert_same_weights, changed, coloured_pairs
from unisem import load_encoder
from unisem.common.threads import decoding_threads
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.errors import ImageError
from unisem.images.reference import ImageRef
from unisem.pairs import PairDataset
from unisem.training import Augmentation, Recipe, train_encoder
from unisem.training.inputs.collator import PairCollator
from unisem.training.inputs.columns import ImageColumn, TextColumn
from unisem.training.inputs.prefetching import AheadCollator, made_ahead
from unisem.training.losses import InfoNCE, PairLabels

pytestmark = pytest.mark.usefixtures("one_thread")

FAMILIES = {"clip": save_clip, "siglip": save_siglip, "two_towers": save_two_towers}
COUNT = 11  # pictures; no multiple of what a thread takes


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        noise(number, (30 + 17 * (number % 3), 40 + 9 * (number % 4))).save(
            folder / f"{number}.png"
        )
    return [ImageRef.of(folder / f"{number}.png") for number in range(COUNT)]


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.training.inputs.columns.decoding_threads", lambda: 3)


def assert_same_features(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, Tensor):
            assert value.dtype == other[key].dtype
            assert torch.equal(value, other[key])
        else:
            assert value == other[key]


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("family", FAMILIES)
def test_parts_of_a_batch_are_preprocessed_as_the_whole(
    family: str, pictures: list[ImageRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(FAMILIES[family](tmp_path))))
    whole = encoder.preprocess_images([encoder.prepare_image(picture) for picture in pictures])
    sizes = record_sizes(encoder, monkeypatch)
    column = ImageColumn(encoder, pictures)
    for _ in range(2):
        assert_same_features(dict(whole), column.features(range(COUNT)))
    assert sorted(sizes) == [3, 3, 4, 4, 4, 4]
    changing = ImageColumn(encoder, pictures, Augmentation(crop=0.5, flip=0.5, colour=0.2))
    one, again = (changing.features(range(COUNT), (0, 1)) for _ in range(2))
    assert_same_features(one, again)
    alone = [changing.features([number], (0, 1))["pixel_values"] for number in range(COUNT)]
    assert torch.equal(one["pixel_values"], torch.cat(alone))
    assert not torch.equal(one["pixel_values"], whole["pixel_values"])


def record_sizes(encoder: SentenceTransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call preprocesses, from now on."""
    sizes: list[int] = []
    preprocess = encoder.preprocess_images

    def record(images: Sequence[Image.Image]) -> dict[str, Any]:
        sizes.append(len(images))
        return preprocess(images)

    monkeypatch.setattr(encoder, "preprocess_images", record)
    return sizes


def masked(images: Sequence[Image.Image]) -> dict[str, Any]:
    return padded(images) | {"pixel_mask": torch.ones(len(images), 80, 80)}


def padded(images: Sequence[Image.Image]) -> dict[str, Any]:
    """All as high as the highest."""
    height = max(image.height for image in images)
    return {"pixel_values": torch.ones(len(images), 3, height, 4), "modality": "image"}


def patches(images: Sequence[Image.Image]) -> dict[str, Any]:
    return {"pixel_values": torch.ones(sum(image.height for image in images), 5)}


def tiles(images: Sequence[Image.Image]) -> dict[str, Any]:
    return {"pixel_values": torch.ones(2 * len(images), 3, 4, 4)}


def counted(images: Sequence[Image.Image]) -> dict[str, Any]:
    return {"pixel_values": torch.ones(len(images), 3, 4, 4), "pictures": len(images)}


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("preprocess", [masked, padded, patches, tiles, counted])
def test_features_that_depend_on_the_batch_are_made_in_one_call(
    preprocess: Callable[[Sequence[Image.Image]], dict[str, Any]],
    tiny: Path,
    pictures: list[ImageRef],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(tiny)))
    monkeypatch.setattr(encoder, "preprocess_images", preprocess)
    whole = preprocess([encoder.prepare_image(picture) for picture in pictures])
    sizes = record_sizes(encoder, monkeypatch)
    column = ImageColumn(encoder, pictures)
    for _ in range(2):
        assert_same_features(whole, column.features(range(COUNT)))
    assert sorted(sizes) == [3, 4, 4, COUNT, COUNT]  # the parts are tried once


def test_threads_share_a_tokenizer(tiny: Path) -> None:
    """Validation tokenizes while the next batch is made."""
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(tiny)))
    column = TextColumn(encoder, ["a red tiger " * number for number in range(1, 40)])
    alone = [column.features([number, 0]) for number in range(39)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda number: column.features([number, 0]), range(39)))
    for one, other in zip(alone, together, strict=True):
        assert_same_features(one, other)


def test_a_thread_per_core_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(32), raising=False)
    assert decoding_threads() == 32
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert decoding_threads() == 8
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})
    assert decoding_threads() == 4


def batch_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("unisem-batch")]


class Meeting(InfoNCE):
    """Every step but the last goes on only when the next step's batch is being made."""

    def __init__(self, begun: list[threading.Event], made: list[threading.Event]) -> None:
        super().__init__()
        self._begun, self._made, self._step = begun, made, 0

    def forward(self, texts: Tensor, images: Tensor, labels: PairLabels) -> Tensor:
        self._begun[self._step].set()
        if self._step % 3 < 2:
            assert self._made[self._step + 1].wait(60), "the next batch was not begun"
        self._step += 1
        return super().forward(texts, images, labels)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_next_batch_is_made_while_the_model_computes(
    tiny: Path,
    pairs: PairDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accumulate: int,
) -> None:
    begun, made = ([threading.Event() for _ in range(6)] for _ in range(2))
    make = PairCollator.make
    batches = iter(range(6))

    def meet(self: PairCollator, rows: Any, epoch: int) -> dict[str, Any]:
        batch = next(batches)
        made[batch].set()
        if batch % 3:
            assert begun[batch - 1].wait(60), "the model waited for this batch"
        return make(self, rows, epoch)

    monkeypatch.setattr(AheadCollator, "__call__", begin_with(meet))
    recipe = Recipe(epochs=2, batch_size=6, accumulate=accumulate)
    loss = Meeting(begun, made)
    report = train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, loss=loss)
    assert report.steps == 6 // accumulate
    assert not batch_threads()


def begin_with(make: Callable[..., dict[str, Any]]) -> Any:
    def begin(self: AheadCollator, rows: Any) -> Future[dict[str, Any]]:
        return self._pool.submit(make, self._collator, rows, self.epoch)

    return begin


@pytest.mark.parametrize(
    "options",
    [
        {"augmentation": Augmentation(0.5, 0.5, 0.2), "patience": 3, "checkpoint_steps": 2},
        {"accumulate": 2, "mini_batch_size": 3, "learned_temperature": True},
    ],
    ids=["augmented", "accumulated"],
)
def test_batches_made_ahead_train_the_same_weights(
    tiny: Path,
    pairs: PairDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    recipe = Recipe(epochs=3, batch_size=5, freeze=(), learning_rate=1e-3, **options)
    train_encoder(str(tiny), pairs, tmp_path / "ahead", recipe=recipe)

    def now(self: AheadCollator, rows: Any) -> Future[dict[str, Any]]:
        done: Future[dict[str, Any]] = Future()
        done.set_result(self._collator.make(rows, self.epoch))
        return done

    monkeypatch.setattr(AheadCollator, "__call__", now)
    train_encoder(str(tiny), pairs, tmp_path / "in-time", recipe=recipe)
    assert changed(tiny, tmp_path / "ahead")
    assert_same_weights(tmp_path / "ahead", tmp_path / "in-time")


def test_a_picture_that_goes_while_training_is_named(tiny: Path, tmp_path: Path) -> None:
    pairs = coloured_pairs(tmp_path / "pictures", 12)

    def lose(what: str, done: int, total: int) -> None:
        if what == "training":
            (tmp_path / "pictures" / "4.png").unlink(missing_ok=True)

    recipe = Recipe(epochs=3, batch_size=6, freeze=())
    with pytest.raises(ImageError, match=r"4\.png"):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=recipe, progress=lose)
    assert not batch_threads()


def test_a_stop_drops_the_batches_that_were_begun(
    tiny: Path, pairs: PairDataset, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(
            str(tiny), pairs, tmp_path / "out", recipe=Recipe(batch_size=3), progress=stop
        )
    assert not batch_threads()


def test_what_is_made_ahead_comes_in_order_and_fails_in_its_turn() -> None:
    assert list(made_ahead(str, range(5))) == ["0", "1", "2", "3", "4"]
    assert list(made_ahead(str, [])) == []
    results = made_ahead(lambda number: 6 // number, [3, 2, 0, 1])
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not batch_threads()
    left = made_ahead(str, range(5))
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert not batch_threads()


@pytest.mark.parametrize("prompts", ["document", "passage", "corpus"])
def test_what_is_trained_is_what_is_indexed(
    pictures: list[ImageRef], tmp_path: Path, prompts: str
) -> None:
    """A vision-language embedder whose prompts go before pictures, too, under any name."""
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(save_prompted_vlm(tmp_path))))
    model = encoder.model
    model.prompts[prompts] = model.prompts.pop("document")
    texts = ["a cat <image>", "the dog in the snow"]
    columns = {
        "document": (ImageColumn(encoder, pictures), encoder.encode_images(pictures)),
        "query": (TextColumn(encoder, texts), encoder.encode_texts(texts, role="query")),
    }
    for column, indexed in columns.values():
        with torch.inference_mode():
            trained = model(column.features(range(len(column))))["sentence_embedding"]
        torch.testing.assert_close(trained.cpu(), torch.from_numpy(indexed), rtol=0, atol=1e-4)
    silent = model.prompts.copy()
    model.prompts = {}
    assert abs(encoder.encode_images(pictures) - columns["document"][1]).max() > 1e-3
    model.prompts = silent
