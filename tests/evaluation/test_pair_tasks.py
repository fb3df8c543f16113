"""The tasks that pairs give, against the definition applied pair by pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.data import shades
from unisem.errors import UniSemError
from unisem.evaluation.pair_tasks import PairTasks
from unisem.evaluation.tasks import RetrievalTask, form_of
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset
from unisem.pairs.dataset import caption_key

ROOT = Path("pictures")


def pair(picture: str, caption: str, digest: str | None = None) -> Pair:
    image = ImageRef(path=ROOT / picture, sha256=digest or picture)
    return Pair.of(image, caption, picture)


def named(tasks: PairTasks) -> dict[str, RetrievalTask]:
    return {task.name: task for task in tasks.tasks}


def random_pairs(seed: int) -> PairDataset:
    """Captions shared between pictures, several captions per picture."""
    rng = np.random.default_rng(seed)
    chosen = {
        (f"p{number:02}", f"Caption {rng.integers(90)}")
        for number in range(60)
        for _ in range(rng.integers(1, 4))
    }
    return PairDataset(tuple(pair(*names) for names in sorted(chosen)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_relevant_is_what_is_paired(seed: int) -> None:
    pairs = random_pairs(seed)
    tasks = named(PairTasks.of(pairs))
    edges = {(f"image:{p.image_id}", f"text:{caption_key(p.caption)}") for p in pairs}
    for name, side, other in (("text to image", 1, 0), ("image to text", 0, 1)):
        task = tasks[name]
        assert [q.id for q in task.queries] != []
        assert {q.id for q in task.queries} == {edge[side] for edge in edges}
        assert [c.id for c in task.candidates] == sorted({edge[other] for edge in edges})
        for query, wanted in zip(task.queries, task.relevant, strict=True):
            assert set(wanted) == {edge[other] for edge in edges if edge[side] == query.id}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_mixed_list(seed: int) -> None:
    pairs = random_pairs(seed)
    tasks = named(PairTasks.of(pairs, seed=seed))
    by_text, by_image = tasks["text to mixed"], tasks["image to mixed"]
    assert [c.id for c in by_text.candidates] == [c.id for c in by_image.candidates]
    edges = {(f"image:{p.image_id}", f"text:{caption_key(p.caption)}") for p in pairs}
    group = dict(zip((f"image:{p.image_id}" for p in pairs), pairs.groups, strict=True))
    in_the_list = {caption_key(c.text) for c in by_text.candidates if c.text is not None}
    pictures = {c.id for c in by_text.candidates if c.image is not None}
    forms: dict[int, set[str]] = {}
    for candidate in by_text.candidates:
        images = {image for image, text in edges if text == candidate.id} or {candidate.id}
        for image in images:
            forms.setdefault(int(group[image]), set()).add(form_of(candidate))
    assert all(len(kinds) == 1 for kinds in forms.values())
    assert forms.keys() == set(pairs.groups.tolist())  # every picture is there in some form
    counts = [
        sum(kinds == {kind} for kinds in forms.values())
        for kind in ("text", "image", "captioned image")
    ]
    assert max(counts) - min(counts) <= 1
    for query, wanted in zip(by_text.queries, by_text.relevant, strict=True):
        assert caption_key(query.text or "") not in in_the_list
        images = {image for image, text in edges if text == query.id}
        expected = images & pictures or {
            text for image, text in edges if image in images and text[5:] in in_the_list
        }
        assert set(wanted) == expected
    for query, wanted in zip(by_image.queries, by_image.relevant, strict=True):
        assert query.id not in pictures
        assert set(wanted) == {
            text for image, text in edges if image == query.id and text[5:] in in_the_list
        }
    texts_asked = {q.id for q in by_text.queries}
    assert texts_asked == {text for _, text in edges if text[5:] not in in_the_list}


def test_copies_of_a_picture_are_one_candidate() -> None:
    pairs = PairDataset(
        (pair("b", "one", "same"), pair("a", "two", "same"), pair("c", "ONE ", "other"))
    )
    tasks = PairTasks.of(pairs)
    assert {record.id for record in tasks.images} == {"image:a", "image:c"}
    assert tasks.captions["image:a"] == ("one", "two")
    wanted = dict(
        zip(
            (q.id for q in named(tasks)["text to image"].queries),
            (set(w) for w in named(tasks)["text to image"].relevant),
            strict=True,
        )
    )
    assert wanted == {"text:one": {"image:a", "image:c"}, "text:two": {"image:a"}}
    assert len(set(tasks.groups.values())) == 1


def test_the_seed_decides_the_forms(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    lists = [
        [c.id for c in named(PairTasks.of(pairs, seed=seed))["text to mixed"].candidates]
        for seed in (0, 0, 1)
    ]
    assert lists[0] == lists[1] != lists[2]


def test_too_little_to_rank() -> None:
    with pytest.raises(UniSemError, match="1 captions; a ranking needs at least two"):
        PairTasks.of(PairDataset((pair("a", "same"), pair("b", "same"))))
