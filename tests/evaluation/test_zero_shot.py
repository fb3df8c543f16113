"""Pictures told by classes' names: the formulas, scikit-learn and a trained encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tests.evaluation.data import Blurred
from tests.support.pictures import solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem import load_encoder
from unisem.errors import BenchmarkError
from unisem.evaluation import (
    ClassNames,
    EvaluationOptions,
    evaluate_zero_shot,
    mteb_classification,
)
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset

GALLERY = Path(__file__).resolve().parents[2] / "examples" / "gallery"
FAST = EvaluationOptions(ks=(1, 5), rounds=50, examples=2)
TEMPLATES = ("a {} card", "{}", "the card is {}")


def folders(place: Path, each: int = 6) -> Path:
    """Folders of colours; the reds are in a folder in their folder, one is spoilt."""
    for colour in COLOURS:
        for number in range(each):
            path = place / colour.title() / ("dark" if colour == "red" else "") / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            solid(colour, (20 + number, 20)).save(path)
    (place / "Blue" / "0.png").write_bytes(b"none")
    solid("red").save(place / "stray.png")
    return place


def test_the_formula(tmp_path: Path) -> None:
    """The mean of a class's prompts, the nearest class; every figure by hand and scikit-learn."""
    encoder = Blurred(2.0)
    pictures = PairDataset.from_class_folders(folders(tmp_path / "cards"))
    late = tmp_path / "cards" / "Blue" / "1.png"
    late.write_bytes(late.read_bytes()[:-25])  # it begins as a picture
    classes = ClassNames.of([*COLOURS, "purple"], TEMPLATES)
    report = evaluate_zero_shot(encoder, pictures, classes, options=FAST, name="cards")
    labels = [*COLOURS, "purple"]
    rows = []
    for colour in labels:
        prompts = [template.replace("{}", colour) for template in TEMPLATES]
        mean = encoder.encode_texts(prompts, "query").astype(float).mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
    usable = [pair for pair in pictures if not pair.image_id.endswith(("Blue/0.png", "Blue/1.png"))]
    images = encoder.encode_images([pair.image for pair in usable]).astype(float)
    truth = np.array([labels.index(pair.caption.casefold()) for pair in usable])
    scores = images @ np.array(rows).T
    told = scores.argmax(axis=1)
    first = report.encoder.tasks[0]
    assert (first.queries, first.candidates) == (len(usable), len(labels))
    assert first.measures["hit@1"].value == pytest.approx((told == truth).mean())
    better = (scores > scores[np.arange(len(truth)), truth][:, None]).sum(axis=1)
    assert first.measures["hit@5"].value == pytest.approx((better < 5).mean())
    assert 0.3 < (told == truth).mean() < 1
    by_name = {one.name: one for one in report.encoder.classes}
    assert by_name.keys() == set(COLOURS)
    for number, colour in enumerate(COLOURS):
        chosen = told[truth == number]
        assert by_name[colour].accuracy == pytest.approx((chosen == number).mean())
        wrong = {labels[n]: int((chosen == n).sum()) for n in set(chosen.tolist()) - {number}}
        assert by_name[colour].confused == wrong
    assert [one.accuracy for one in report.encoder.classes] == sorted(
        one.accuracy for one in by_name.values()
    )
    each = np.mean([one.accuracy for one in by_name.values()])
    assert first.measures["mean per class"].value == pytest.approx(each)
    found = mteb_classification(report, "Cards").scores
    for suffix, average in (("", "macro"), ("_weighted", "weighted")):
        theirs = precision_recall_fscore_support(truth, told, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), theirs, strict=False):
            assert found[f"{name}{suffix}"] == pytest.approx(value), name + suffix
    assert found["accuracy"] == pytest.approx((told == truth).mean())
    skipped = {Path(one.name).name: one.reason for one in report.data.skipped}
    assert skipped.keys() == {"0.png", "1.png", "stray.png"}
    assert "no folder of a class" in skipped["stray.png"]
    page = report.as_html()
    assert "Taken for" in page
    assert "mean per class" in page
    json.dumps(report.as_json(), allow_nan=False)


def test_centred_pictures_are_seen_from_the_others_mean(tmp_path: Path) -> None:
    """A gap that drives all pictures to one class is taken off."""

    class Apart(ToyEncoder):
        def encode_images(self, images, **options):  # type: ignore[no-untyped-def]
            rows = super().encode_images(images) + 2 * self.encode_texts(["red"])
            return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    pictures = PairDataset.from_class_folders(folders(tmp_path / "cards", each=4))
    report = evaluate_zero_shot(Apart(), pictures, ClassNames.of(COLOURS, ["{}"]), options=FAST)
    plain, centred = (task.measures["hit@1"].value for task in report.encoder.tasks)
    assert (plain < 0.3, centred) == (True, 1.0)


def test_names_of_a_file(tmp_path: Path) -> None:
    names, templates = tmp_path / "names.txt", tmp_path / "templates.txt"
    names.write_text("n01\tgolden retriever\n\nn01\tretriever\nGreat_Auk\n", encoding="utf-8")
    templates.write_text("a photo of a {}.\n{}\n", encoding="utf-8")
    found = ClassNames.read(names, templates)
    assert found.names == {"n01": ("golden retriever", "retriever"), "great auk": ("Great Auk",)}
    assert ClassNames.of(["Great_Auk", "cat"], ["{}"]).prompts("great auk") == ["Great Auk"]
    assert found.prompts("n01")[:2] == ["a photo of a golden retriever.", "golden retriever"]
    assert len(found.prompts("n01")) == 4


@pytest.mark.parametrize(
    ("names", "templates", "message"),
    [
        ("cat\n", None, "1 classes; choosing needs at least two"),
        ("cat\na\tb\tc\n", None, r"names.txt:2 must be a name"),
        ("cat\n\tdog\n", None, r"names.txt:2 must be a name"),
        ("cat\ndog\n", "a photo\n", "the template 'a photo' needs one"),
        ("cat\ndog\n", "{} or {}\n", "needs one"),
        ("cat\ndog\n", "\n", "no template"),
    ],
)
def test_bad_names(tmp_path: Path, names: str, templates: str | None, message: str) -> None:
    (tmp_path / "names.txt").write_text(names, encoding="utf-8")
    if templates is not None:
        (tmp_path / "templates.txt").write_text(templates, encoding="utf-8")
    chosen = None if templates is None else tmp_path / "templates.txt"
    with pytest.raises(BenchmarkError, match=message):
        ClassNames.read(tmp_path / "names.txt", chosen)


def test_classes_without_a_name_are_told(tmp_path: Path) -> None:
    pictures = PairDataset.from_class_folders(folders(tmp_path / "cards", each=2))
    with pytest.raises(BenchmarkError, match=r"2 pictures are of classes without a name, first 'R"):
        evaluate_zero_shot(ToyEncoder(), pictures, ClassNames.of(list(COLOURS)[1:]), options=FAST)
    empty = PairDataset(())
    with pytest.raises(BenchmarkError, match="no picture can be used, of 0 read"):
        evaluate_zero_shot(ToyEncoder(), empty, ClassNames.of(COLOURS), options=FAST)


def test_a_trained_encoder_knows_what_things_are() -> None:
    """`mini`, which no label of these pictures was shown to."""
    rows = [json.loads(line) for line in (GALLERY / "metadata.jsonl").open(encoding="utf-8")]
    wanted = ("animals", "buildings", "food", "transport")
    pairs = [
        Pair.of(
            ImageRef(path=GALLERY / row["file_name"], root=GALLERY),
            row["category"],
            row["file_name"],
        )
        for name in wanted
        for row in [row for row in rows if row["category"] == name][:8]
    ]
    classes = ClassNames({name: (name,) for name in wanted}, ("a drawing of {}",))
    report = evaluate_zero_shot(
        load_encoder("mini"), PairDataset(tuple(pairs)), classes, options=FAST
    )
    assert report.encoder.tasks[0].measures["hit@1"].value > 0.7


def test_a_label_that_looks_like_a_name_with_its_label_is_another_class(tmp_path: Path) -> None:
    pictures = PairDataset.from_class_folders(folders(tmp_path / "cards", each=2))
    names = {colour: (colour,) for colour in COLOURS}
    names |= {"y": ("purple",), "purple (y)": ("purple (y)",)}
    report = evaluate_zero_shot(ToyEncoder(), pictures, ClassNames(names, ("{}",)), options=FAST)
    assert report.encoder.tasks[0].candidates == len(names)
    assert report.encoder.tasks[0].measures["hit@1"].value == 1.0
