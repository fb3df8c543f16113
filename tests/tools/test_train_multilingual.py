"""The parts of the recipe that trains mini-multilingual's head, and that what is shipped is its."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tools.mini_training.sources import Sources
from tools.multilingual.head import HIDDEN, LAYERS, Head
from tools.multilingual.texts import Pair, emoji, in_hiragana, places
from tools.train_multilingual import LOCK, Recipe, chosen, picture_places, train
from unisem import load_encoder
from unisem.encoders.multilingual.package import MODEL_DIRECTORY
from unisem.evaluation.ranking import Ranking


def test_what_is_shipped_is_what_the_lock_names() -> None:
    files = json.loads(LOCK.read_text("utf-8"))["files"]
    shipped = {
        path.relative_to(MODEL_DIRECTORY).as_posix(): path
        for path in MODEL_DIRECTORY.rglob("*")
        if path.is_file() and path.suffix != ".md"
    }
    assert files.keys() == shipped.keys()
    for name, path in shipped.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == files[name], name


def archive(folder: Path, name: str, files: dict[str, object]) -> Sources:
    """Sources with one package of JSON files."""
    path = folder / "one.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for inside, content in files.items():
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"package/{inside}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    row = {"filename": "one.tgz", "kind": "npm", "licence": "MIT", "name": name, "version": "1"}
    row["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "lock.json").write_text(json.dumps({"sources": [row]}))
    return Sources(folder, folder / "lock.json")


def test_emoji_are_called_what_cldr_calls_them(tmp_path: Path) -> None:
    names = {"en": "tiger", "ja": "トラ", "de": "Tiger"}
    files: dict[str, object] = {}
    for language in ("en", "zh", "ja", "de", "es", "fr", "ru", "ar", "hi"):
        known = {"🐅": {"tts": [names[language]], "default": ["x"]}} if language in names else {}
        known["👋🏽"] = {"tts": ["wave"]}
        tree = {"annotations": {"annotations": known}}
        files[f"annotations/{language}/annotations.json"] = tree
    found = list(emoji(archive(tmp_path, "cldr-annotations-full", files)))
    assert {(pair.text, pair.english, pair.language) for pair in found} == {
        *((name, "tiger", language) for language, name in names.items()),
        *((f"{name}, x", "tiger, x", language) for language, name in names.items()),
    }
    kana = list(in_hiragana(found))
    assert [pair.text for pair in kana] == ["とら", "とら, x"]
    assert {pair.source for pair in kana} == {"cldr, hiragana", "cldr keywords, hiragana"}


def test_places_lose_what_is_in_brackets(tmp_path: Path) -> None:
    files: dict[str, object] = {}
    for language in ("en", "zh-CN", "ja", "de", "es", "fr", "ru", "ar", "hi"):
        known = {"zh-CN": {"a": {"name": "井（古）"}}, "de": {"a": {"name": "Well"}}}.get(
            language, {}
        )
        known = {"a": {"name": "Well (old)"}, "b": {}} if language == "en" else known
        files[f"dist/translations/{language}.min.json"] = {
            language: {"presets": {"presets": known}}
        }
    found = list(places(archive(tmp_path, "@openstreetmap/id-tagging-schema", files)))
    assert [(pair.text, pair.english) for pair in found] == [("Well", "Well"), ("井", "Well")]


def test_more_than_enough_is_cut() -> None:
    pairs = [Pair(str(n), str(n), "en", "phrases") for n in range(2000)]
    few = [Pair(str(n), str(n), "zh", "cldr") for n in range(10)]
    kept = chosen([*pairs, *few])
    assert sorted(pair.text for pair in kept if pair.source == "cldr") == sorted(
        map(str, range(10))
    )
    assert len(kept) == 1800 + 10
    assert kept == chosen([*pairs, *few])


@pytest.mark.slow
def test_a_head_learns_where_english_is() -> None:
    """Features that are a fixed map of the wanted vectors, with noise; 40 that it has not seen."""
    random = np.random.default_rng(0)
    wanted = random.standard_normal((240, 384)).astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    pooled = np.tanh(wanted @ random.standard_normal((384, 384 * len(LAYERS)))).astype(np.float32)
    names = [str(number) for number in range(240)]
    pairs = [Pair(name, name, "en" if int(name) % 2 else "zh", "cldr") for name in names[:200]]
    recipe = Recipe(steps=60, batch=64, rate=3e-3)
    given, targets = dict(zip(names, pooled, strict=True)), dict(zip(names, wanted, strict=True))
    head = train(pairs, given, targets, recipe)
    with torch.inference_mode():
        placed = head(torch.tensor(pooled[200:]))[0].numpy()
    rank = Ranking.of(placed @ wanted.T, [[row] for row in range(200, 240)])
    assert rank.hit(1).mean() > 0.8
    held = head.tensors()
    assert held["inner.w"].shape == (384 * len(LAYERS), HIDDEN)
    assert {value.dtype for value in held.values()} == {np.dtype(np.float16)}


def test_minis_pictures_are_mixtures_of_the_places() -> None:
    from tests.support.pictures import noise

    vector = load_encoder("mini").encode_images([noise(1, (300, 200))])[0]
    near = picture_places().numpy() @ vector
    assert near.shape == (2000,)
    assert near.max() > 0.5


def test_an_untrained_head_gives_unit_vectors() -> None:
    seen = torch.randn(8, 384 * len(LAYERS))
    placed, english = Head(seen)(seen)
    torch.testing.assert_close(placed.norm(dim=-1), torch.ones(8))
    assert english.shape == (8,)
