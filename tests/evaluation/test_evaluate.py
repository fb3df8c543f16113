"""`evaluate` as a whole: its figures recomputed, comparisons, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.data import Blurred, shades
from tests.support.pictures import noise
from tests.support.toy import ToyEncoder
from unisem.encoders import Encoder
from unisem.errors import UniSemError
from unisem.evaluation import EvaluationOptions, Ranking, Report, bootstrap_interval, evaluate
from unisem.images.reference import ImageRef
from unisem.pairs import Pair, PairDataset

QUICK = EvaluationOptions(rounds=300)


def measures(report: Report, task: str) -> dict[str, float]:
    found = next(one for one in report.encoder.tasks if one.task == task)
    return {name: estimate.value for name, estimate in found.measures.items()}


def recomputed(encoder: Encoder, pairs: PairDataset) -> tuple[Ranking, Ranking]:
    """Both directions of pairs with one caption each, ids in the order of file names."""
    order = sorted(range(len(pairs)), key=lambda at: pairs[at].image_id)
    images = encoder.encode_images([pairs[at].image for at in order]).astype(np.float64)
    texts = sorted(range(len(pairs)), key=lambda at: pairs[at].caption)
    queries = encoder.encode_texts([pairs[at].caption for at in texts], "query").astype(float)
    relevant = [[order.index(at)] for at in texts]
    scores = (queries @ images.T).astype(np.float32)
    return Ranking.of(scores, relevant), Ranking.of(scores.T, [[texts.index(at)] for at in order])


@pytest.mark.parametrize("encoder", [ToyEncoder(), Blurred()], ids=["toy", "blurred"])
def test_figures_are_those_of_brute_force(tmp_path: Path, encoder: Encoder) -> None:
    pairs = shades(tmp_path)
    report = evaluate(encoder, pairs, options=QUICK)
    for task, ranking in zip(
        ("text to image", "image to text"), recomputed(encoder, pairs), strict=True
    ):
        expected = {name: values.mean() for name, values in ranking.measures().items()}
        assert measures(report, task) == pytest.approx(expected)
        assert 0.05 < expected["hit@1"] < 0.9
    result = report.encoder
    assert (result.name, result.fingerprint) == (encoder.name, encoder.fingerprint)
    assert [task.task for task in result.tasks] == [
        "text to image",
        "image to text",
        "text to mixed",
        "image to mixed",
    ]
    assert [task.queries for task in result.tasks] == [24, 24, 8, 8]
    assert all(
        one.low <= one.value <= one.high for task in result.tasks for one in task.measures.values()
    )
    assert (report.against, report.differences, report.gained, report.lost) == (None, (), (), ())


def test_a_comparison_is_paired(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    report = evaluate(ToyEncoder(), pairs, against=Blurred(3.0), options=QUICK)
    assert report.against is not None
    ours, _ = recomputed(ToyEncoder(), pairs)
    theirs, _ = recomputed(Blurred(3.0), pairs)
    change = report.differences[0].measures["hit@10"]
    values = ours.hit(10) - theirs.hit(10)
    assert change.value == pytest.approx(values.mean())
    alone = report.encoder.tasks[0].measures["hit@10"].value
    other = report.against.tasks[0].measures["hit@10"].value
    assert change.value == pytest.approx(alone - other)
    low, high = bootstrap_interval(values, rounds=4000)
    assert (change.low, change.high) == pytest.approx((low, high), abs=0.06)
    assert change.excludes_zero
    assert change.value > 0.1
    for example in (*report.gained, *report.lost):
        assert example.before is not None
        gain = 1 / example.answer.rank - 1 / example.before.rank
        assert gain > 0 if example in report.gained else gain < 0
    assert report.names == ("blurred", "toy-0")


def test_an_encoder_equals_itself(tmp_path: Path) -> None:
    report = evaluate(ToyEncoder(), shades(tmp_path), against=ToyEncoder(), options=QUICK)
    for difference in report.differences:
        for change in difference.measures.values():
            assert (change.value, change.low, change.high) == (0, 0, 0)
    assert report.gained == report.lost == ()
    mark = ToyEncoder().fingerprint[:8]
    assert report.names == (f"toy-0 ({mark})",) * 2


def test_failures_are_the_worst_queries(tmp_path: Path) -> None:
    pairs = shades(tmp_path)
    report = evaluate(Blurred(3.0), pairs, options=EvaluationOptions(rounds=10, examples=5))
    ranks, _ = recomputed(Blurred(3.0), pairs)
    shown = [example for example in report.failures if example.task == "text to image"]
    assert [example.answer.rank for example in shown] == sorted(ranks.first.tolist())[:-6:-1]
    worst = shown[0]
    wanted = next(pair for pair in pairs if pair.caption == worst.query.text)
    assert worst.wanted.id == f"image:{wanted.image_id}"
    assert worst.wanted_captions == (wanted.caption,)
    assert not any(found.relevant for found in worst.answer.found)
    scores = [found.score for found in worst.answer.found]
    assert scores == sorted(scores, reverse=True)
    assert worst.answer.score < scores[-1]


def test_several_captions_share_a_group(tmp_path: Path) -> None:
    pairs = shades(tmp_path, 2, captions=3)
    report = evaluate(ToyEncoder(), pairs, options=QUICK)
    first = report.encoder.tasks[0]
    ours = first.measures["hit@1"]
    images = ToyEncoder().encode_images([pair.image for pair in pairs][::3]).astype(np.float64)
    queries = ToyEncoder().encode_texts(pairs.captions, "query").astype(np.float64)
    hits = Ranking.of(queries @ images.T, [[number // 3] for number in range(36)]).hit(1)
    assert ours.value == pytest.approx(hits.mean())
    interval = bootstrap_interval(hits, groups=np.arange(36) // 3, rounds=300)
    assert (ours.low, ours.high) == pytest.approx(interval)
    assert interval != pytest.approx(bootstrap_interval(hits, rounds=300))
    assert (first.queries, first.groups, first.candidates) == (36, 12, 12)
    assert [task.single for task in report.encoder.tasks][:2] == [True, False]
    values = report.encoder.tasks[1].measures
    assert values["recall@1"].value < values["hit@1"].value


def test_json_says_all_and_is_reproducible(tmp_path: Path) -> None:
    pairs = shades(tmp_path / "pictures")
    answers = []
    for number in range(2):
        report = evaluate(
            ToyEncoder(), pairs, against=Blurred(), options=QUICK, name="shades \u202e"
        )
        report.write_json(tmp_path / f"{number}.json")
        answers.append(json.loads((tmp_path / f"{number}.json").read_text(encoding="utf-8")))
    assert [path.name for path in tmp_path.glob("*.partial")] == []
    for answer in answers:
        assert answer["environment"].pop("created").endswith("+00:00")
        assert answer["encoder"].pop("seconds") >= 0
        assert answer["against"].pop("seconds") >= 0
    first, second = answers
    assert first == second
    assert (first["format"], first["version"]) == ("unisem-evaluation", 1)
    assert first["options"]["ks"] == [1, 5, 10]
    assert first["data"]["name"] == "shades \u202e"
    value = first["encoder"]["tasks"]["text to image"]["measures"]["ndcg@10"]
    assert value["value"] == report.encoder.tasks[0].measures["ndcg@10"].value
    change = first["differences"]["text to mixed"]["mrr"]
    assert change["low"] <= change["value"] <= change["high"]
    assert {"id", "text", "image", "captions"} <= first["failures"][0]["query"].keys()
    found = first["gained"][0]["before"]["found"][0]
    assert isinstance(found["score"], float)
    assert isinstance(found["relevant"], bool)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    evaluate(
        ToyEncoder(),
        shades(tmp_path),
        against=Blurred(),
        options=QUICK,
        progress=lambda what, done, total: seen.setdefault(what, []).append((done, total)),
    )
    assert list(seen) == ["checking", "encoding with toy-0", "encoding with blurred"]
    for steps in seen.values():
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def test_an_encoder_that_gives_nonsense_is_named(tmp_path: Path) -> None:
    class Broken(ToyEncoder):
        def encode_images(self, images, **options):  # type: ignore[no-untyped-def]
            return np.full((len(images), self.dimension), np.nan, np.float32)

    with pytest.raises(UniSemError, match="'toy-0' gave a vector that is zero or not finite"):
        evaluate(Broken(), shades(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"ks": ()},
        {"ks": (0,)},
        {"limit": 1},
        {"held_out": 0},
        {"seed": -1},
        {"rounds": 0},
        {"examples": -1},
        {"points": 1},
        {"confidence": 1.0},
    ],
)
def test_options_that_mean_nothing(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        EvaluationOptions(**options)  # type: ignore[arg-type]


def test_two_pictures_are_enough(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    pairs = []
    for seed in (0, 1):
        noise(seed).save(tmp_path / f"{seed}.png")
        image = ImageRef(path=tmp_path / f"{seed}.png", root=tmp_path)
        pairs.append(Pair.of(image, f"picture {seed}", f"{seed}.png"))
    report = evaluate(ToyEncoder(), PairDataset(tuple(pairs)), options=QUICK)
    assert report.encoder.tasks[0].candidates == 2
    report.write_html(tmp_path / "page.html")
    assert "found at" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_evaluating_imports_nothing_heavy_of_its_own() -> None:
    program = (
        "import sys; from unisem.evaluation import evaluate, Ranking, Report\n"
        "print(*({'torch', 'transformers', 'sentence_transformers', 'faiss', 'sklearn', 'jinja2'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
