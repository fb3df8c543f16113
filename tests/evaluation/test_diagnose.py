"""A diagnosis of a space, against brute force over its vectors and against known constructions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import solid
from tests.support.toy import COLOURS, FusingToyEncoder, ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import UniSemError
from unisem.evaluation import AskedQuery, Diagnosis, DiagnosisOptions, diagnose, read_queries
from unisem.evaluation.changes import IMAGE_CHANGES, cropped, keywords, verbose
from unisem.evaluation.space_sample import SpaceSample
from unisem.images.reference import ImageSource
from unisem.records import Vector
from unisem.search import Query

FAST = DiagnosisOptions(queries=60, changed=20, hubs=3)


class Apart(ToyEncoder):
    """Texts here, pictures there."""

    def encode_texts(
        self, texts: Sequence[str], role: str = "document", **options: object
    ) -> Vector:
        return shifted(super().encode_texts(texts), 1.5)

    def encode_images(self, images: Sequence[ImageSource], **options: object) -> Vector:
        return shifted(super().encode_images(images), -1.5)


class Leaning(FusingToyEncoder):
    """Fused vectors that lie between their texts' and their pictures'."""

    def encode_pairs(
        self, texts: Sequence[str], images: Sequence[ImageSource], *rest: object, **options: object
    ) -> Vector:
        return shifted(self.encode_texts(texts) + 0.5 * self.encode_images(images), 0.0)


def shifted(rows: Vector, by: float) -> Vector:
    moved = rows.copy()
    moved[:, 0] += by
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def filled(space: SemanticSpace, folder: Path) -> SemanticSpace:
    """Thirds: texts, bare pictures, captioned pictures."""
    folder.mkdir()
    records = []
    for number, (colour, size) in enumerate((c, s) for c in COLOURS for s in range(9)):
        picture = folder / f"{colour}{size}.png"
        solid(colour, (20 + size, 20)).save(picture)
        form = number % 3
        records.append(
            Record(
                id=f"r{number:02}",
                text=None if form == 1 else f"a {colour} card of size{size} number{number}",
                image=None if form == 0 else picture,
            )
        )
    space.add(records)
    return space


@pytest.fixture
def mixed(space: SemanticSpace, tmp_path: Path) -> SemanticSpace:
    return filled(space, tmp_path / "pictures")


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(tmp_path / "apart.unisem", encoder=Apart()) as opened:
        yield filled(opened, tmp_path / "pictures")


def names(found: Diagnosis, *, problems: bool) -> set[str]:
    return {one.name for one in found.findings if one.is_problem is problems}


def test_fused_vectors_win_for_neither_side(tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "f.unisem", encoder=Leaning()) as space:
        filled(space, tmp_path / "pictures")
        asked = [record for record in space.store.select() if record.text]
        won: Counter[str] = Counter()
        for record in asked:
            hits = space.search_query(Query(text=record.text, k=11))
            won.update([hit.matched for hit in hits if hit.record.id != record.id][:10])
        assert all(won[kind] for kind in ("text", "both"))
        (places, _) = diagnose(space, options=FAST).places
        assert places.queries == len(asked)
        assert places.by_text == pytest.approx(won["text"] / (won["text"] + won["image"]))


def test_places_and_hubs_by_brute_force(mixed: SemanticSpace) -> None:
    found = diagnose(mixed, options=FAST)
    records = list(mixed.store.select())
    stored = dict(
        zip(
            (record.id for record in records),
            mixed.store.vectors([record.id for record in records]),
            strict=True,
        )
    )
    form = {
        record.id: "text"
        if record.image is None
        else ("captioned image" if record.text else "image")
        for record in records
    }
    total: Counter[str] = Counter()
    for places, kind in zip(found.places, ("text", "image"), strict=True):
        count: Counter[str] = Counter()
        asking = [r for r in records if (r.text if kind == "text" else r.image) is not None]
        by_text = 0
        for record in asking:
            query = (stored[record.id] or {})[kind]
            scores = {}
            for name, vectors in stored.items():
                assert vectors is not None
                scores[name] = max((float(row @ query), part) for part, row in vectors.items())
            del scores[record.id]
            first = sorted(scores, key=lambda name: (-np.float32(scores[name][0]), name))[:10]
            by_text += sum(scores[name][1] == "text" for name in first)
            count.update(first)
        assert places.queries == len(asking) == 36
        for one, share in places.hubness.found.items():
            expected = sum(n for name, n in count.items() if form[name] == one) / (10 * len(asking))
            assert share == pytest.approx(expected, abs=0.01)
            assert places.fair[one] == pytest.approx(1 / 3)
        assert places.by_text == pytest.approx(by_text / (10 * len(asking)), abs=0.01)
        assert places.texts_present == 0.5
        assert places.hubness.largest == pytest.approx(max(count.values()) / len(asking), abs=0.03)
        total += count
    worst = max(total.values())
    assert found.hubs[0].share == pytest.approx(worst / 72, abs=0.02)
    assert len(found.hubs) == 3
    assert total[found.hubs[0].record.id] >= worst - 1
    assert found.records == 54
    assert found.forms == {"text": 18, "image": 18, "captioned image": 18}


def test_a_gap_is_found_and_its_remedy(apart: SemanticSpace) -> None:
    found = diagnose(apart, options=FAST)
    assert {"gap", "share", "scores"} <= names(found, problems=True)
    assert found.geometry is not None
    assert found.geometry.centroid_distance > 1
    texts, images = found.places
    assert texts.hubness.found["image"] == 0.0
    assert (texts.by_text, images.by_text) == (1.0, 0.0)
    problem = next(one for one in found.findings if one.name == "gap")
    assert "Calibrate" in problem.remedy
    assert found.findings[0].is_problem


def test_a_calibrated_space(tmp_path: Path) -> None:
    """What is said of the raw space is not said of the calibrated one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    records = []
    for number in range(120):
        path = folder / f"{number}.png"
        colour = list(COLOURS)[number % 6]
        pixels = np.array(solid(colour, (8, 8)), int) + rng.integers(-10, 10, (8, 8, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        records.append(Record(id=f"r{number:03}", text=f"a {colour} {number}", image=path))
    with SemanticSpace.open(tmp_path / "c.unisem", encoder=Apart()) as space:
        space.add(records)
        raw = diagnose(space, options=FAST)
        space.calibrate()
        found = diagnose(space, options=FAST)
    assert (raw.calibrated, found.calibrated) == (False, True)
    assert raw.calibrated_geometry is None
    assert found.geometry == raw.geometry
    assert found.geometry is not None
    assert found.calibrated_geometry is not None
    assert found.calibrated_geometry.centroid_distance < found.geometry.centroid_distance / 2
    assert {"gap", "share", "scores"} <= names(raw, problems=True)
    assert not {"gap", "share", "scores"} & names(found, problems=True)
    assert [one.by_text for one in raw.places] == [1.0, 0.0]
    assert all(0.3 < one.by_text < 0.7 for one in found.places)
    before, after = ({(s.asked, s.kind): s for s in one.scores} for one in (raw, found))
    assert before.keys() == after.keys()
    assert all(after[pair].mean != before[pair].mean for pair in before)


def test_a_calibration_that_changes_nothing_says_why(mixed: SemanticSpace) -> None:
    mixed.calibrate()
    found = diagnose(mixed, options=FAST)
    assert found.choices is not None
    assert not found.choices.centred
    told = [one for one in found.findings if one.name in ("gap", "share", "scores")]
    problems = [one for one in told if one.is_problem]
    assert {one.name for one in problems} == {"gap", "share", "scores"}
    for one in problems:
        assert "changes nothing" in one.remedy
        assert "of the 36 answers" in one.remedy
    assert found.as_json()["space"]["choices"]["queries"] == 36


def test_kinds_of_queries_that_no_scale_was_chosen_for(apart: SemanticSpace) -> None:
    apart.calibrate()
    found = diagnose(apart, options=FAST)
    assert found.choices is not None
    assert found.choices.scaled == ("image", "both")
    (problem,) = (one for one in found.findings if one.name == "scores" and one.is_problem)
    assert problem.text.startswith("Asked with texts")
    assert "leaves them so" in problem.remedy


def test_cycle_by_brute_force(mixed: SemanticSpace) -> None:
    found = diagnose(mixed, options=FAST).cycle
    assert found is not None
    records = list(mixed.store.select())
    vectors = mixed.store.vectors([record.id for record in records])
    rows = {record.id: row for record, row in zip(records, vectors, strict=True) if row}

    def nearest(query: Vector, kind: str) -> str:
        some = {
            name: float(np.float32(row[kind] @ query)) for name, row in rows.items() if kind in row
        }  # type: ignore[index]
        return min(some, key=lambda name: (-some[name], name))

    there = back = 0
    asked = [record for record in records if record.text and record.image]
    for record in asked:
        picture = nearest(rows[record.id]["text"], "image")
        there += picture == record.id
        back += nearest(rows[picture]["image"], "text") == record.id
    assert found.queries == len(asked)
    assert found.there == pytest.approx(there / len(asked), abs=0.06)
    assert found.back == pytest.approx(back / len(asked), abs=0.06)


def test_robustness(mixed: SemanticSpace) -> None:
    changes = {(one.asked, one.change): one for one in diagnose(mixed, options=FAST).changes}
    assert changes["image", "unchanged"].overlap == changes["text", "unchanged"].overlap == 1.0
    assert changes["image", "unchanged"].first == 1.0
    assert changes["image", "unchanged"].queries == 20
    assert changes["image", "before another background"].first < 1.0
    assert {change for _, change in changes} >= {*IMAGE_CHANGES, "wordy", "cut to keywords"}


def test_scores_by_numpy(mixed: SemanticSpace) -> None:
    scores = {(one.asked, one.kind): one for one in diagnose(mixed, options=FAST).scores}
    assert len(scores) == 4
    records = list(mixed.store.select())
    found = mixed.store.vectors([record.id for record in records])
    rows = {record.id: row for record, row in zip(records, found, strict=True) if row}
    cosines = [
        float(one["text"].astype(float) @ other["image"].astype(float))
        for name, one in rows.items()
        for another, other in rows.items()
        if "text" in one and "image" in other and name != another
    ]
    pair = scores["text", "image"]
    assert pair.mean == pytest.approx(np.mean(cosines), abs=1e-5)
    assert pair.deviation == pytest.approx(np.std(cosines), abs=1e-5)
    near = [
        score
        for name, one in rows.items()
        if "text" in one
        for score in sorted(
            float(one["text"].astype(float) @ other["image"].astype(float))
            for another, other in rows.items()
            if "image" in other and name != another
        )[-4:]  # a tenth of 36
    ]
    assert pair.near_mean == pytest.approx(np.mean(near), abs=1e-5)
    assert pair.near_deviation == pytest.approx(np.std(near), abs=1e-5)
    counts, _ = np.histogram(cosines, pair.edges)
    assert pair.others == pytest.approx(counts / len(cosines), abs=2e-3)
    assert sum(pair.own) == pytest.approx(1.0)
    assert pair.own_mean is not None
    assert pair.own_mean > pair.mean
    assert scores["text", "text"].own_mean is None


def test_the_same_seed_gives_the_same(mixed: SemanticSpace) -> None:
    small = DiagnosisOptions(queries=5, changed=3, sample=20, seed=1)
    one, two = (diagnose(mixed, options=small).as_json() for _ in range(2))
    other = diagnose(mixed, options=DiagnosisOptions(queries=5, changed=3, sample=20)).as_json()
    for found in (one, two, other):
        del found["environment"], found["options"]
    assert one == two != other


def test_every_record_is_as_likely(mixed: SemanticSpace) -> None:
    drawn = Counter(
        record.id for seed in range(200) for record in SpaceSample.of(mixed, 10, seed, None).records
    )
    assert len(drawn) == 54
    assert min(drawn.values()) > 15  # 37 expected, deviation 5.5
    assert max(drawn.values()) < 62


def test_queries_of_users(mixed: SemanticSpace, tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    rows = [{"text": f"{colour} card", "relevant": ["r01", "r04"]} for colour in COLOURS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = diagnose(mixed, read_queries(path), options=FAST)
    places = found.places[-1]
    assert (places.asked, places.queries) == ("your queries", 6)
    assert places.fair == {"text": 0.0, "image": 1.0, "captioned image": 0.0}
    text = tmp_path / "queries.txt"
    text.write_text("a red card\n\n blue \n", encoding="utf-8")
    assert read_queries(text) == (AskedQuery("a red card"), AskedQuery("blue"))
    with pytest.raises(UniSemError, match="names 'nobody', which is no record"):
        diagnose(mixed, [AskedQuery("red", ("nobody",))], options=FAST)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.txt", b"\n", "holds no query"),
        ("q.txt", b"\xff\xff", "is no text file"),
        ("q.md", b"a", "read from .txt"),
        ("q.jsonl", b"{", "q.jsonl:1 is not JSON"),
        ("q.jsonl", b'{"text": 7}', "text must be a string"),
        ("q.jsonl", b'{"text": "a", "relevant": 7}', "relevant must be a list"),
        ("q.jsonl", b'{"text": "\\ud800"}', "is not valid Unicode"),
        ("q.csv", b"words\na\n", "has no column 'text'"),
    ],
)
def test_bad_queries_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UniSemError, match=message):
        read_queries(path)


def test_too_few_records(space: SemanticSpace) -> None:
    space.add([Record(id="a", text="a tiger")])
    with pytest.raises(UniSemError, match="holds 1 records; a diagnosis needs 12"):
        diagnose(space)


def test_texts_alone(space: SemanticSpace) -> None:
    space.add([Record(id=f"{n}", text=f"text number{n}") for n in range(20)])
    found = diagnose(space, options=FAST)
    assert (found.geometry, found.cycle, found.projection) == (None, None, None)
    assert "kinds" in names(found, problems=False)
    assert [one.asked for one in found.places] == ["texts of the space"]
    assert json.dumps(found.as_json())


def test_pictures_that_have_gone_cannot_ask(mixed: SemanticSpace, tmp_path: Path) -> None:
    for name in ("red1", "red2"):
        (tmp_path / "pictures" / f"{name}.png").unlink()
    found = diagnose(mixed, options=FAST)
    assert len(found.skipped) == 2
    assert found.places[1].queries == 34


def test_an_interrupt_ends_it(mixed: SemanticSpace) -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diagnose(mixed, options=FAST, progress=stop)


def test_the_page_needs_nothing_else_and_shows_hubs(mixed: SemanticSpace, tmp_path: Path) -> None:
    mixed.add([Record(id="evil", text="<script>alert(1)</script> a red card")])
    found = diagnose(mixed, [AskedQuery("<b>red</b>")] * 20, options=FAST)
    found.write_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<script" not in page
    assert "<b>red" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert "data:image/webp;base64," in page
    for finding in found.findings:
        assert finding.text.split(":")[0].replace('"', "&#34;") in page
    found.write_json(tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text("utf-8"))["format"] == "unisem-diagnosis"


def test_changes() -> None:
    image = Image.new("RGB", (100, 40), "red")
    assert cropped(image).size == (70, 28)
    assert cropped(Image.new("RGB", (1, 1))).size == (1, 1)
    for change in IMAGE_CHANGES.values():
        assert change(image).mode == "RGB"
    assert "a tiger" in verbose("a tiger")
    assert keywords("of the") == "of the"


@pytest.mark.parametrize("options", [{"queries": 1}, {"seed": -1}, {"points": 1}])
def test_options_that_mean_nothing(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        DiagnosisOptions(**options)
