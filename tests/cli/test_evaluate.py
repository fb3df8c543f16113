"""``unisem evaluate``: the table, the files, exit codes and errors."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.evaluation.data import Blurred, shades
from tests.evaluation.test_benchmarks import mixbench, texts_alone
from tests.evaluation.test_parquet_benchmarks import hub, tables_of
from tests.support.toy import COLOURS, ToyEncoder
from unisem.encoders import Encoder
from unisem.errors import EncoderError


@pytest.fixture(autouse=True)
def encoders(monkeypatch: pytest.MonkeyPatch) -> dict[str, Encoder]:
    """The encoders that can be named."""
    known: dict[str, Encoder] = {"mini": ToyEncoder(), "blurred": Blurred(3.0)}

    def load(name: str) -> Encoder:
        if name not in known:
            raise EncoderError(f"no encoder {name!r}")
        return known[name]

    monkeypatch.setattr("unisem.encoders.load_encoder", load)
    return known


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A table of captioned pictures, two captions each."""
    pairs = shades(tmp_path / "pictures", captions=2)
    table = tmp_path / "pairs.jsonl"
    rows = [{"filepath": f"pictures/{p.image_id}", "title": p.caption} for p in pairs]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return table


def test_one_encoder(run: Run, data: Path) -> None:
    result = run("evaluate", "--data", data)
    assert result.exit_code == 0, result.output
    assert "48 pairs, 24 pictures, 48 captions" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["text", "to", "image", "hit@1"] in [row[:4] for row in rows]
    assert sum(row[-4:-3] == ["ndcg@10"] or "ndcg@10" in row for row in rows) == 4
    assert "recall@10" in result.stdout
    assert "95 % interval" in result.stdout
    assert "toy-0: modality gap" in result.stdout
    assert "\x1b" not in result.stdout


def test_against_another_with_files(run: Run, data: Path) -> None:
    result = run(
        "evaluate",
        "--data",
        data,
        "--encoder",
        "blurred",
        "--against",
        "mini",
        "--report",
        "page.html",
        "--json",
        "figures.json",
        "-k",
        2,
        "-k",
        4,
    )
    assert result.exit_code == 0, result.output
    content = json.loads(Path("figures.json").read_text(encoding="utf-8"))
    assert (content["encoder"]["name"], content["against"]["name"]) == ("blurred", "toy-0")
    change = content["differences"]["text to image"]["hit@2"]
    row = next(line.split() for line in result.stdout.splitlines() if "hit@2" in line)
    assert row[4:] == [
        f"{content['against']['tasks']['text to image']['measures']['hit@2']['value']:.3f}",
        f"{content['encoder']['tasks']['text to image']['measures']['hit@2']['value']:.3f}",
        f"{change['value']:+.3f}",
        f"{change['low']:+.3f}",
        "to",
        f"{change['high']:+.3f}",
    ]
    assert change["value"] < 0
    assert "hit@10" not in result.stdout
    assert "blurred against toy-0" in Path("page.html").read_text(encoding="utf-8")
    assert result.stderr.splitlines()[-2:] == ["wrote figures.json", "wrote page.html"]


def test_a_folder_a_limit_and_a_cache(run: Run, cards: Path, encoders: dict[str, Encoder]) -> None:
    assert run("evaluate", "--data", cards, "--limit", 4, "--cache", "kept").exit_code == 0
    toy = encoders["mini"]
    assert isinstance(toy, ToyEncoder)
    assert toy.images_encoded == 4
    result = run("evaluate", "--data", cards, "--limit", 4, "--cache", "kept")
    assert toy.images_encoded == 4
    assert "4 pairs, 4 pictures, 4 captions" in result.stdout
    assert "every query has one relevant answer" in result.stderr


def test_a_benchmark(run: Run, tmp_path: Path) -> None:
    folder = mixbench(tmp_path / "MSCOCO")
    for data in (folder, tmp_path):
        result = run("evaluate", "--data", data, "--json", "figures.json")
        assert result.exit_code == 0, result.output
        assert "MSCOCO, centred" in result.stdout
    assert len(json.loads(Path("figures.json").read_text("utf-8"))["encoder"]["tasks"]) == 3
    result = run("evaluate", "--data", folder, "--limit", 5)
    assert (result.exit_code, result.stdout) == (2, "")
    (folder / "images" / "red0.png").unlink()
    result = run("evaluate", "--data", folder)
    assert result.exit_code == 1
    assert "1 of 13 pictures cannot be used" in result.stderr


def test_a_benchmark_of_the_hub(run: Run, tmp_path: Path) -> None:
    rows = tables_of(mixbench(tmp_path / "MSCOCO"))
    rows["qrels"].append({"query-id": "1", "corpus-id": "x", "score": 1})
    rows["corpus"].append({"id": "x", "text": " "})
    folder = hub(hub(tmp_path / "hub", rows, "de"), rows, "fr")
    result = run("evaluate", "--data", folder, "--subset", "de")
    assert (result.exit_code, "say where to" in result.stderr) == (1, True)
    twice = ("--subset", "de", "--subset", "de")
    result = run("evaluate", "--data", folder, *twice, "--cache", "vectors")
    assert result.exit_code == 0, result.output
    assert sum("hub, de, centred" in line for line in result.stdout.splitlines()) == 1
    assert ("hub, de, centred" in result.stdout, "hub, fr" in result.stdout) == (True, False)
    assert "hub, de: 1 document with neither text nor picture left out" in result.stderr
    assert "hub, de: 1 judgement of what is not there, counted as never found" in result.stderr


def test_texts_alone_for_mteb(run: Run, tmp_path: Path) -> None:
    folder = texts_alone(tmp_path / "Arguments")
    options = ["--mteb", "out", "--language", "eng-Latn", "--ignore-identical-ids"]
    result = run("evaluate", "--data", folder, *options)
    assert result.exit_code == 0, result.output
    assert "modality gap" not in result.stdout
    assert "map" in result.stdout.split()
    said = "Arguments: 1 judged queries have no relevant document; they were not asked"
    assert said in result.stderr
    (path,) = Path("out").glob("results/toy-0/*/Arguments.json")
    assert str(path) in result.stderr
    assert "eng-Latn" in path.read_text("utf-8")
    result = run("evaluate", "--data", folder, "--split", "dev", *options[:2])
    assert json.loads(path.read_text("utf-8"))["scores"].keys() == {"dev"}
    result = run("evaluate", "--data", folder, "--split", "train")
    assert (result.exit_code, "splits: dev, test" in result.stderr) == (1, True)


def test_classes_by_their_names(run: Run, tmp_path: Path) -> None:
    shades(tmp_path / "pictures", each=2)
    rows = ["filepath,label"]
    rows += [f"{path.name},{path.name.partition('-')[0]}" for path in tmp_path.glob("pictures/*")]
    (tmp_path / "pictures" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    names = tmp_path / "names.txt"
    names.write_text("\n".join([*COLOURS, "purple"]), encoding="utf-8")
    options = ["--data", tmp_path / "pictures" / "labels.csv", "--caption-column", "label"]
    result = run("evaluate", "--zero-shot", names, *options, "--mteb", "out", "-k", 1)
    assert result.exit_code == 0, result.output
    assert "picture to class, centred" in result.stdout
    assert "worst classes: " in result.stdout
    (path,) = Path("out").glob("results/toy-0/*/labels.json")
    assert json.loads(path.read_text("utf-8"))["scores"]["test"][0]["main_score"] == 1
    names.write_text("red\nblue\n", encoding="utf-8")
    result = run("evaluate", "--zero-shot", names, *options)
    assert (result.exit_code, "of classes without a name" in result.stderr) == (1, True)
    for wrong in (["--limit", 5], ["--split", "dev"]):
        assert run("evaluate", "--zero-shot", names, *options, *wrong).exit_code == 2
    assert run("evaluate", *options, "--templates", names).exit_code == 2


def test_pairs_are_no_benchmark(run: Run, data: Path) -> None:
    result = run("evaluate", "--data", data, "--mteb", "out")
    assert (result.exit_code, "holds no benchmark" in result.stderr) == (2, True)


def test_held_out(run: Run, data: Path) -> None:
    result = run("evaluate", "--data", data, "--held-out", "0.25", "--seed", 2)
    assert "12 pairs, 6 pictures" in result.stdout
    assert run("evaluate", "--data", data, "--held-out", "12").stdout.count("12 pairs") == 1


def test_the_same_model_twice_is_said(run: Run, data: Path) -> None:
    result = run("evaluate", "--data", data, "--against", "mini")
    assert result.exit_code == 0
    assert "both encoders are the same model" in result.stderr
    assert "+0.000 to +0.000" in result.stdout


def test_bad_pictures_are_named(run: Run, data: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "pictures" / f"red-{number}.png").write_bytes(b"no picture")
        (tmp_path / "pictures" / f"blue-{number}.png").unlink()
    result = run("evaluate", "--data", data, "--json", "figures.json")
    assert result.exit_code == 0
    assert "blue-0.png: does not exist" in result.stdout
    assert "and 1 more; --json lists all" in result.stdout
    assert len(json.loads(Path("figures.json").read_text("utf-8"))["data"]["skipped"]) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none"], "none is neither a folder nor a file"),
        (["--data", "empty"], "empty has 0 usable pictures and 0 captions"),
        (["--data", "words.txt"], "words.txt: .txt is not supported"),
        (["--data", "bad.csv"], "bad.csv has no column 'filepath' or 'title'"),
        (["--data", "empty", "--encoder", "nobody"], "no encoder 'nobody'"),
        (["--data", "empty", "--report", "no/page.html"], "no/page.html: there is no folder no"),
        (["--data", "empty", "--json", "empty"], "empty is a folder; name a file"),
    ],
)
def test_errors_are_one_line(run: Run, arguments: list[str], message: str) -> None:
    Path("empty").mkdir()
    Path("words.txt").write_text("words", encoding="utf-8")
    Path("bad.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    result = run("evaluate", *arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--data", ".", "-k", "0"],
        ["--data", ".", "--limit", "1"],
        ["--data", ".", "--held-out", "0"],
        ["--data", ".", "--seed", "-1"],
    ],
)
def test_usage_errors(run: Run, arguments: list[str]) -> None:
    result = run("evaluate", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_shards_need_a_place_to_be_unpacked(run: Run, data: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "0.tar", "w") as shard:
        for picture in sorted((tmp_path / "pictures").glob("*.png")):
            words = tmp_path / f"{picture.stem}.txt"
            words.write_text(f"a card {picture.stem}", encoding="utf-8")
            shard.add(words, words.name)
            shard.add(picture, picture.name)
    for named in (shards, shards / "0.tar"):
        result = run("evaluate", "--data", named)
        assert result.exit_code == 2
        assert "--cache" in result.stderr
        result = run("evaluate", "--data", named, "--cache", "kept")
        assert result.exit_code == 0, result.output
        assert "24 pairs, 24 pictures, 24 captions" in result.stdout


def test_an_interruption_keeps_what_was_encoded(
    run: Run, data: Path, encoders: dict[str, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(ToyEncoder):
        def encode_images(self, images, **options):  # type: ignore[no-untyped-def]
            raise KeyboardInterrupt

    encoders["mini"] = Interrupted()
    result = run("evaluate", "--data", data, "--cache", "kept")
    assert result.exit_code == 130
    assert "what was encoded is kept in kept" in result.stderr
    assert len(list(Path("kept").glob("*.npy"))) == 2


def test_captions_and_names_cannot_write_to_the_terminal(
    run: Run, tmp_path: Path, encoders: dict[str, Encoder]
) -> None:
    class Evil(Blurred):
        @property
        def name(self) -> str:
            return "[red]evil[/red]\x1b[31m\u202e"

    encoders["evil"] = Evil()
    shades(tmp_path / "p", 1)
    rows = [
        {"filepath": f"p/{path.name}", "title": f"{path.stem} \x1b]8;;x\x07"}
        for path in sorted((tmp_path / "p").glob("*.png"))
    ]
    rows.append({"filepath": "p/\x1b[2Jgone.png", "title": "gone"})
    table = tmp_path / "t.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = run("evaluate", "--data", table, "--encoder", "evil", "--against", "mini")
    assert result.exit_code == 0
    assert "[red]evil[/red][31m" in result.stdout.replace("\n", "")
    assert not set(result.output) & set("\x1b\x07\u202e")
