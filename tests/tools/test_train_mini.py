"""The parts of the recipe that trains `mini`'s head, against formulas and by hand."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer

from benchmarks.near_duplicates import thumbnail
from tools.mini_training import captions, classes, flags, pictures, sources, views
from tools.mini_training.features import Tower, extract
from tools.mini_training.head import BeliefHead, average, extended, softened, towards_start
from tools.mini_training.learning import Pictures, Recipe, info_nce, sampling_weights, train
from tools.mini_training.package import write
from unisem import load_encoder
from unisem.encoders.mini import MODEL_DIRECTORY

ROOT = Path(__file__).resolve().parents[2]
WORDNET = """\
  1 This software and database is being provided to you
00000001 03 n 01 entity 0 000 | that which is perceived to exist
00000002 03 n 01 animal 0 001 @ 00000001 n 0000 | a living organism
00000003 03 n 02 big_cat 0 cat 0 001 @ 00000002 n 0000 | any of several large cats
00000004 03 n 02 tiger 0 Panthera_tigris 0 001 @ 00000003 n 0000 | striped feline; "a tiger"
"""


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def random_head(seed: int, rows: int = 1003) -> BeliefHead:
    random = np.random.default_rng(seed)
    weight, places = random.normal(size=(rows, 1280)) / 20, random.normal(size=(rows, 384))
    return BeliefHead(weight, random.normal(size=rows), unit(places))


def test_a_head_is_the_mean_of_places_weighted_by_belief() -> None:
    head = random_head(0)
    features = np.random.default_rng(1).random((5, 1280), np.float32)
    weight, bias, places = (head.whole(k).detach().numpy() for k in ("weight", "bias", "places"))
    belief = np.exp(features @ weight.T + bias)
    expected = unit(belief / belief.sum(1, keepdims=True) @ places)
    np.testing.assert_allclose(head.encode(features), expected, atol=1e-5)
    assert head.training  # encoding leaves the mode as it was


def test_new_classes_answer_to_their_picture() -> None:
    random = np.random.default_rng(2)
    features = random.random((50, 2, 1280), np.float32)
    texts = unit(random.normal(size=(50, 384)))
    start = random_head(3, rows=1000)
    places = start.whole("places").detach().numpy()
    head = extended(start, places, features, texts, extra=50, seed=0, sharpness=40)
    logits = features[:, 0] @ head.new["weight"].detach().numpy().T
    logits += head.new["bias"].detach().numpy()
    chosen = np.random.default_rng(0).choice(50, 50, replace=False)
    view = np.random.default_rng(0)
    view.choice(50, 50, replace=False)
    plain = view.integers(0, 2, 50) == 0
    assert (logits.argmax(0)[plain] == chosen[plain]).all()
    np.testing.assert_array_equal(head.new["places"].detach().numpy(), texts[chosen])
    np.testing.assert_array_equal(head.known["weight"].detach(), start.known["weight"].detach())


def test_averaging_softening_and_moving_back() -> None:
    first, second = random_head(4), random_head(5)
    both = average([first, second])
    weights = [head.whole("weight").detach() for head in (first, second)]
    torch.testing.assert_close(both.whole("weight"), (weights[0] + weights[1]) / 2)

    features = torch.rand(4, 1280)
    soft = softened(first, 2.0)
    logits = features @ weights[0].T + first.whole("bias")
    belief = torch.softmax(logits / 2, -1)
    placed = torch.nn.functional.normalize(belief @ first.whole("places"), dim=-1)
    torch.testing.assert_close(soft(features), placed, atol=1e-5, rtol=0)

    places = second.whole("places").detach().numpy()[:1000]
    for share in (0.0, 0.5, 1.0):
        moved = towards_start(first, second, places, share)
        expected = (1 - share) * weights[0][:1000] + share * weights[1][:1000]
        torch.testing.assert_close(moved.known["weight"].data, expected)
        torch.testing.assert_close(moved.new["weight"].data, weights[0][1000:])


def test_the_loss_is_the_formula_with_false_negatives_left_out() -> None:
    random = np.random.default_rng(6)
    vectors, texts = unit(random.normal(size=(6, 8))), unit(random.normal(size=(6, 8)))
    texts[4] = texts[1]  # another picture of the same text
    groups = np.array([0, 1, 2, 2, 4, 5])
    recipe = Recipe(scale=7.0, to_pictures=0.7)
    total = 0.0
    for i in range(6):
        rivals = [
            j
            for j in range(6)
            if j == i or (groups[j] != groups[i] and texts[i] @ texts[j] <= 0.85)
        ]
        scores = 7 * vectors @ texts.T
        forward = scores[i, i] - np.log(np.exp(scores[i, rivals]).sum())
        backward = scores[i, i] - np.log(np.exp(scores[rivals, i]).sum())
        total -= (0.3 * forward + 0.7 * backward) / 6
    tensors = map(torch.from_numpy, (vectors, texts, groups))
    assert float(info_nce(*tensors, recipe)) == pytest.approx(total, abs=1e-5)


def test_the_mean_of_a_channel_is_that_of_samples() -> None:
    shift, scale = np.array([-1.0, 0.5, 5.0]), np.array([1.0, -2.0, 3.0])
    drawn = np.random.default_rng(7).normal(shift, np.abs(scale), (400_000, 3))
    np.testing.assert_allclose(
        classes.natural_mean(shift, scale), np.clip(drawn, 0, 6).mean(0), atol=0.01
    )


def test_wordnet_is_read_up_to_the_general_kinds() -> None:
    (entry,) = classes.read_classes(["tiger"], ["n00000004"], WORDNET)
    assert entry.words == ["tiger", "Panthera tigris"]
    assert entry.gloss == "striped feline"
    assert entry.kinds == ["big cat", "animal"]
    texts = classes.class_texts(entry, np.random.default_rng(0))
    assert len(texts) == 24
    assert {"a photo of a tiger", "striped feline", "a photo of an animal"} <= set(texts)


@pytest.mark.parametrize(
    ("title", "clean"),
    [
        ("Clipart by Nicu Buculei - contour_chipmunk", "contour chipmunk"),
        ("BlueMan#208", "BlueMan"),
        ("Tigre02", "Tigre"),
        ("1984", "1984"),
    ],
)
def test_titles_lose_their_file_names(title: str, clean: str) -> None:
    assert captions.clean_title(title) == clean


def test_every_caption_has_eight_texts_and_the_first_is_itself() -> None:
    caption = "Hot Dog. protein, hash(0x8a0a540), menu"
    texts = captions.of_clip_art(caption)
    assert len(texts) == len(captions.of_clip_art("eau")) == captions.VARIANTS
    assert texts[0] == caption
    assert not any("hash" in text for text in texts[2:])
    assert captions.of_clip_art(caption) == texts
    for keywords in ([], ["cat", "face", "pet"]):
        assert len(captions.of_emoji("cat", keywords)) == captions.VARIANTS


def test_views_are_square_and_the_first_is_what_retrieval_sees() -> None:
    image = Image.new("RGB", (300, 300), "white")
    image.paste((200, 30, 30), (100, 100, 160, 160))
    plain = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))
    for kind in pictures.KINDS:
        drawing = pictures.Drawing(image, ["a"] * 8, "a", kind, "")
        seen = views.views(drawing, np.random.default_rng(0))
        assert [view.shape for view in seen] == [(224, 224, 3)] * 5
        assert {view.dtype for view in seen} == {np.dtype(np.uint8)}
        np.testing.assert_array_equal(seen[0], plain)
    tight = np.asarray(views.cut_to_content(image))
    assert (tight[5:-5, 5:-5] == (200, 30, 30)).all()


def test_a_ground_shows_where_the_picture_was_white() -> None:
    image = Image.new("RGB", (224, 224), "white")
    image.paste((0, 0, 0), (0, 0, 224, 112))
    placed = views.on_ground(image, np.random.default_rng(3))
    assert (placed == 0).all(-1).mean() > 0.1
    assert (placed == 255).all(-1).mean() < 0.1


def test_a_flag_is_never_mirrored() -> None:
    image = Image.new("RGB", (224, 224), "white")
    image.paste((200, 30, 30), (0, 40, 112, 180))
    image.paste((30, 30, 200), (112, 40, 224, 180))
    for seed in range(20):
        drawing = pictures.Drawing(image, ["a"] * 8, "a", "flag", "")
        for view in views.views(drawing, np.random.default_rng(seed))[:4]:
            _, red = np.nonzero((view[..., 0] > 80) & (view[..., 2] < 60))
            _, blue = np.nonzero((view[..., 2] > 80) & (view[..., 0] < 60))
            assert red.mean() < blue.mean()


def test_features_are_the_drawings_own_whatever_its_neighbours(tmp_path: Path) -> None:
    encoder = load_encoder("mini", runtime="torch")
    images = [Image.effect_noise((250, 250), spread).convert("RGB") for spread in (20, 60, 90)]
    drawings = [
        pictures.Drawing(image, [f"noise {row}"] * 8, "noise", "clip art", f"digest {row}")
        for row, image in enumerate(images)
    ]
    tower = Tower(encoder)
    seen, looks = extract(tower, encoder, drawings, tmp_path / "all.npz")
    alone, _ = extract(tower, encoder, drawings[1:2], tmp_path / "one.npz")
    np.testing.assert_allclose(seen.features[1], alone.features[0], atol=0.01)
    assert seen.features.shape == (3, 5, 1280)
    assert seen.groups.tolist() == [0, 0, 0]
    assert looks.digests.tolist() == ["digest 0", "digest 1", "digest 2"]
    np.testing.assert_array_equal(looks.thumbnails[2], thumbnail(images[2]))
    again, same = extract(tower, encoder, [], tmp_path / "all.npz")  # from the store
    np.testing.assert_array_equal(again.features, seen.features)
    np.testing.assert_array_equal(same.thumbnails, looks.thumbnails)


def test_batches_have_the_share_of_each_kind() -> None:
    kinds = np.array([0] * 10 + [1] * 30 + [2] * 5)
    odds = sampling_weights(kinds, (0.5, 0.3, 0.2))
    assert [odds[kinds == kind].sum() for kind in range(3)] == pytest.approx([0.5, 0.3, 0.2])
    assert len(set(odds[kinds == 1])) == 1
    assert sampling_weights(np.zeros(4, int), (0.5, 0.3, 0.2)).tolist() == [0.25] * 4


def test_flags_are_named_by_their_region_and_what_it_lies_in(tmp_path: Path) -> None:
    packages = {
        "region-flags": {
            "png/KE.png": png((0, 0, 0)),
            "png/US-MD.png": png((255, 200, 0)),
            "png/XX.png": png((1, 1, 1)),
            **{f"data/iso-3166-2-{code}.tsv": b"; empty\n" for code in ("ca", "gb")},
            "data/iso-3166-2-us.tsv": b"; a comment\nstate\tUS-MD*\tMaryland (see also)\ten\n",
        },
        "cldr-localenames-full": {"main/en/territories.json": territories()},
        "cldr-core": {"supplemental/territoryContainment.json": containment()},
        "@iconify-json/flag": {"icons.json": b'{"icons": {}}'},
    }
    archives = sources.Sources(tmp_path)
    for name, files in packages.items():
        archive = archives.archives[name]
        path = tmp_path / archive.filename
        with tarfile.open(path, "w:gz") as tar:
            for member, data in files.items():
                entry = tarfile.TarInfo(f"package/{member}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        archives.archives[name] = dataclasses.replace(archive, sha256=digest)
    kenya, maryland = flags.flags(archives)
    assert kenya.texts[0] == "Kenya. flag, Eastern Africa, Africa"
    assert maryland.texts[0] == "Maryland. flag, United States, Northern America"
    assert {drawing.kind for drawing in (kenya, maryland)} == {"flag"}
    assert kenya.digest == hashlib.sha256(png((0, 0, 0))).hexdigest()
    assert kenya.image.size == (224, 224)
    assert kenya.image.getpixel((112, 112)) == (0, 0, 0)
    assert kenya.image.getpixel((112, 5)) == (255, 255, 255)


def png(colour: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(data, "png")
    return data.getvalue()


def territories() -> bytes:
    names = {"KE": "Kenya", "US": "United States", "014": "Eastern Africa", "002": "Africa"}
    names |= {"021": "Northern America", "001": "world"}
    tree = {"main": {"en": {"localeDisplayNames": {"territories": names}}}}
    return json.dumps(tree).encode()


def containment() -> bytes:
    tree = {"001": ["002", "021"], "002": ["014"], "014": ["KE"], "021": ["US"], "UN": ["KE"]}
    regions = {code: {"_contains": inside} for code, inside in tree.items()}
    return json.dumps({"supplemental": {"territoryContainment": regions}}).encode()


def test_training_learns_both_kinds_and_repeats_itself() -> None:
    random = np.random.default_rng(8)
    centres = random.random((40, 1280)).astype(np.float32)
    texts = unit(random.normal(size=(40, 1, 384)) + 0.1 * random.normal(size=(40, 8, 384)))
    features = centres[:, None] + 0.05 * random.normal(size=(40, 5, 1280)).astype(np.float32)
    seen = Pictures(features, texts, np.arange(40), np.zeros(40, int))
    start = random_head(9, rows=1000)
    places = start.whole("places").detach().numpy()
    natural = classes.NaturalFeatures(
        mean=torch.full((1280,), 0.2),
        directions=start.whole("weight").detach(),
        deviations=torch.from_numpy(features[:, 0] - centres.mean(0)),
        texts=torch.from_numpy(places[:, None].repeat(3, 1)),
    )
    recipe = Recipe(steps=60, batch=40, classes=30)
    heads = []
    for _ in range(2):
        head = extended(start, places, features, texts[:, 0], extra=20, seed=0)
        before = (head.encode(features[:, 0]) @ texts[:, 0].T).argmax(1) == np.arange(40)
        heads.append(train(head, seen, natural, recipe, seed=1))
    after = (heads[0].encode(features[:, 0]) @ texts[:, 0].T).argmax(1) == np.arange(40)
    assert after.mean() > before.mean() + 0.2
    for key in ("weight", "bias", "places"):
        assert torch.equal(heads[0].whole(key), heads[1].whole(key))


def test_a_source_with_other_bytes_is_refused(tmp_path: Path) -> None:
    archives = sources.Sources(tmp_path)
    (tmp_path / archives.archives["timm"].filename).write_bytes(b"not the wheel")
    with pytest.raises(sources.SourceError, match="is pinned"):
        archives.path("timm")


@pytest.mark.slow
def test_what_is_written_loads_with_stock_sentence_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps(json.loads(sources.LOCK.read_text("utf-8")) | {"files": {}}))
    monkeypatch.setattr("tools.mini_training.package.LOCK", lock)
    head = random_head(10, rows=1007)
    write(head, MODEL_DIRECTORY, tmp_path / "model", sources.Sources(tmp_path / "none"))
    model = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    picture = Image.effect_noise((224, 224), 60).convert("RGB")
    body, believe, _ = model[0].sub_modules["image"]
    believe.activation_function.dim = -1
    with torch.no_grad():
        features = body(body.preprocess([{"image": picture}]))["sentence_embedding"].numpy()
    vector = np.asarray(model.encode([{"image": picture}]))
    np.testing.assert_allclose(vector, head.encode(features), atol=2e-3)
    files = json.loads(lock.read_text("utf-8"))["files"]
    same = [name for name in files if name.startswith("text_")]
    for name in same:
        assert (tmp_path / "model" / name).read_bytes() == (MODEL_DIRECTORY / name).read_bytes()
    assert same
