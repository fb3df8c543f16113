"""``unisem search``: the table, JSON, filters and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Run
from tests.support.checkpoints import save_picture_cross_encoder
from tests.support.pictures import solid
from tests.support.toy import ToyEncoder
from unisem import Query, Record, SemanticSpace
from unisem.cli.advice import unknown_language
from unisem.cli.answering import Answering
from unisem.cli.app import application
from unisem.cli.search import search
from unisem.errors import UniSemError
from unisem.pairs.labelling.feedback import Feedback
from unisem.search import RerankCalibration, Reranking


@pytest.fixture
def years(run: Run, tmp_path: Path, toy: ToyEncoder) -> Path:
    """A space of texts with metadata."""
    path = tmp_path / "years.unisem"
    metadata = [
        {"year": 2019, "tags": ["cat"], "name": "Tom"},
        {"year": 2024, "tags": ["Dog"], "name": "Catherine", "open": True},
        {"year": "2024", "name": "Ada"},
    ]
    with SemanticSpace.open(path, encoder=toy) as space:
        space.add(
            Record(id=str(number), text=f"text {number}", metadata=entry)
            for number, entry in enumerate(metadata)
        )
    return path


def ids(output: str) -> set[str]:
    return {hit["id"] for hit in json.loads(output)["hits"]}


@pytest.mark.parametrize("duplicates", ["same", "near"])
def test_a_line_for_each_hit_is_what_json_says_of_it(
    run: Run, built: Path, duplicates: str
) -> None:
    asked = ("search", built, "a red card", "-k", 100, "--duplicates", duplicates)
    lines = run(*asked, "--jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == json.loads(run(*asked, "--json").stdout)["hits"]
    assert len(lines) > 3
    for options in (("--json", "x"), ("--batch", "-"), ()):
        refused = run("search", built, "--jsonl", *options)
        assert refused.exit_code == 2
        assert "--jsonl" in refused.stderr


def test_a_text_finds_captions_and_pictures(run: Run, built: Path) -> None:
    result = run("search", built, "red", "-k", 2)
    assert result.exit_code == 0
    assert "cards/red.png" in result.stdout
    assert "a red card" in result.stdout
    assert "picture" in result.stdout
    assert "\x1b" not in result.stdout


def test_json_agrees_with_the_space(run: Run, built: Path, toy: ToyEncoder) -> None:
    result = run("search", built, "a red card", "-k", 3, "--json")
    answer = json.loads(result.stdout)
    with SemanticSpace.open(built, encoder=toy) as space:
        hits = space.search("a red card", k=3)
    assert answer["query"] == {"text": "a red card", "image": None, "k": 3, "mode": "vector"}
    assert [(hit["id"], hit["score"], hit["matched"]) for hit in answer["hits"]] == [
        (hit.record.id, hit.score, hit.matched) for hit in hits
    ]
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    first = answer["hits"][0]
    assert first["image"].endswith("cards/red.png")
    assert first["metadata"] == {"file_name": "red.png", "width": 40, "height": 30}


def test_a_picture_alone_or_with_a_text(run: Run, built: Path, tmp_path: Path) -> None:
    solid("blue", (64, 64)).save(tmp_path / "query.png")
    alone = run("search", built, "--image", tmp_path / "query.png", "-k", 1, "--json")
    assert ids(alone.stdout) == {"cards/blue.png"}
    both = run("search", built, "green", "--image", tmp_path / "query.png", "-k", 2, "--json")
    assert ids(both.stdout) == {"cards/blue.png", "cards/green.png"}


def test_keyword_and_hybrid(run: Run, built: Path, toy: ToyEncoder) -> None:
    answer = json.loads(run("search", built, "white", "--mode", "keyword", "--json").stdout)
    assert answer["query"]["mode"] == "keyword"
    assert [hit["id"] for hit in answer["hits"]] == ["cards/white.png"]
    hybrid = run("search", built, "a white card", "--mode", "hybrid", "--json")
    with SemanticSpace.open(built, encoder=toy) as space:
        hits = space.search("a white card", mode="hybrid")
    assert [(hit["id"], hit["score"]) for hit in json.loads(hybrid.stdout)["hits"]] == [
        (hit.record.id, hit.score) for hit in hits
    ]
    assert "0.0328" in run("search", built, "a white card", "--mode", "hybrid").stdout


def test_min_score(run: Run, built: Path) -> None:
    found = json.loads(run("search", built, "red", "--min-score", "0.6", "--json").stdout)["hits"]
    assert found
    assert all(hit["score"] >= 0.6 for hit in found)
    assert run("search", built, "red", "--min-score", "1.1").stderr == (
        "Nothing found. Try a lower --min-score.\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--image", "x.png", "--mode", "keyword"],
        ["--image", "x.png", "--mode", "hybrid"],
        ["red", "--image", "x.png", "--mode", "keyword"],
        ["red", "--mode", "keyword", "--min-score", "0.5"],
        ["red", "--min-score", "nan"],
        ["red", "--mode", "magic"],
        ["red", "--words", "parts"],
    ],
)
def test_modes_that_do_not_go_with_what_is_given(
    run: Run, built: Path, arguments: list[str]
) -> None:
    result = run("search", built, *arguments)
    assert result.exit_code == 2
    assert "--m" in result.stderr


def test_modality_and_match(run: Run, built: Path) -> None:
    assert ids(run("search", built, "red", "--modality", "text", "--json").stdout) == {
        "cards/about.txt"
    }
    found = json.loads(run("search", built, "red", "--match", "text", "--json").stdout)["hits"]
    assert {hit["matched"] for hit in found} == {"text"}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["year >= 2020"], {"1"}),
        (["year<2020"], {"0"}),
        (["year = 2024"], {"1"}),
        (['year = "2024"'], {"2"}),
        (["year != 2024"], {"0", "2"}),
        (["name = Ada"], {"2"}),
        (["tags ~ cat"], {"0"}),
        (["name ~ cat"], {"1"}),
        (["name ~ 2024"], set()),
        (["year ~ 2024"], {"2"}),
        (["open = true"], {"1"}),
        (["year > 2000", "tags ~ cat"], {"0"}),
        (["name=a=b"], set()),
        (["year < 1" + "0" * 300], {"0", "1"}),
    ],
)
def test_filters(run: Run, years: Path, conditions: list[str], expected: set[str]) -> None:
    options = [part for condition in conditions for part in ("--filter", condition)]
    result = run("search", years, "text", "--json", *options)
    assert result.exit_code == 0, result.output
    assert ids(result.stdout) == expected


@pytest.mark.parametrize(
    "condition",
    [
        *("year", "= 3", "", "year > null", "~x", "year >", "name =", "name ~  "),
        *("year < 1" + "0" * digits for digits in (400, 5000)),  # more than a number may have
    ],
)
def test_what_is_no_filter_is_a_usage_error(run: Run, years: Path, condition: str) -> None:
    result = run("search", years, "text", "--filter", condition)
    assert result.exit_code == 2
    assert "--filter" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [[""], ["  "], ["\udcff"], ["x", "-k", "0"], ["x", "--modality", "sound"], ["x", "y"]],
)
def test_usage_errors(run: Run, built: Path, arguments: list[str]) -> None:
    result = run("search", built, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["gone", "file"])
def test_a_folder_for_pictures_must_be_there(
    run: Run, built: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    result = run("search", built, "red", "--image-root", tmp_path / name)
    assert result.exit_code == 2
    assert "--image-root" in result.stderr


def test_a_space_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    result = run("search", tmp_path / "none.unisem", "x")
    assert result.exit_code == 1
    assert "build one with `unisem index FOLDER --into" in result.stderr
    assert not (tmp_path / "none.unisem").exists()


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_bad_query_picture_is_one_line(
    run: Run, built: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "query.png").write_bytes(content)
    result = run("search", built, "--image", tmp_path / "query.png")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "query.png" in result.stderr


def test_nothing_found_is_no_error(run: Run, built: Path) -> None:
    result = run("search", built, "red", "--filter", "width > 3000")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nothing found. Try fewer filters.\n"
    assert json.loads(run("search", built, "x", "--filter", "y=1", "--json").stdout)["hits"] == []


def test_a_filter_on_what_no_record_has_is_told(run: Run, built: Path) -> None:
    result = run("search", built, "red", "--filter", "wdith > 3")
    told = "Nothing found. No record has wdith: do you mean width? Try fewer filters.\n"
    assert result.stderr == told
    result = run("search", built, "red", "--filter", "zzz = 1")
    assert "No record has zzz: there are file_name, " in result.stderr


def test_captions_cannot_write_to_the_terminal(run: Run, tmp_path: Path, toy: ToyEncoder) -> None:
    path = tmp_path / "evil.unisem"
    text = "[red]one[/red] :smile: \x1b[31mtwo\x1b]8;;http://x\x07\x9b2J \u202ethree\nfour"
    with SemanticSpace.open(path, encoder=toy) as space:
        space.add([Record(id="\x1b[2Jid", text=text)])
    output = run("search", path, "one").stdout
    assert not set(output) & set("\x1b\x07\x9b\u202e\r")
    assert "[red]one[/red] :smile: [31mtwo]8;;http://x2J three four" in output
    hit = json.loads(run("search", path, "one", "--json").stdout)["hits"][0]
    assert hit["text"] == text
    assert run("search", path, "one", "--json").stdout.isascii()


def test_copies_of_a_picture_take_one_place(run: Run, cards: Path) -> None:
    for number in range(6):
        (cards / f"copy{number}.png").write_bytes((cards / "red.png").read_bytes())
    run("index", cards, "--into", "s.unisem")
    look = ("search", "s.unisem", "--image", cards / "red.png", "-k", 3, "--json")
    answers = [
        json.loads(run(*look, "--duplicates", which).stdout)["hits"] for which in ("keep", "same")
    ]
    pictures = [{Path(hit["image"]).read_bytes() for hit in hits} for hits in answers]
    assert [len(found) for found in pictures] == [1, 3]
    names = {str(cards / f"copy{number}.png") for number in range(6)} | {str(cards / "red.png")}
    first = answers[1][0]
    assert {first["image"], *(copy["image"] for copy in first["copies"])} == names
    table = run(*look[:-1]).stdout
    assert "and 6 copies" in table


def test_a_hit_comes_with_what_belongs_to_it(run: Run, tmp_path: Path, toy: ToyEncoder) -> None:
    manual = tmp_path / "manual"
    manual.mkdir()
    solid("red").save(manual / "cover.png")
    passage = "# Opening\n\nThe blue cover comes off as Figure 1 shows.\n\n"
    figure = "![Figure 1: a red cover](cover.png)\n"
    (manual / "guide.md").write_text(passage + figure + "\n# Closing\n\nPut it back.\n")
    assert run("index", manual, "--into", "s.unisem").exit_code == 0
    look = ("search", "s.unisem", "blue cover", "-k", 1, "--match", "text", "--json")
    alone, brought = (
        [hit["id"] for hit in json.loads(run(*look, "--neighbors", n).stdout)["hits"]]
        for n in (0, 1)
    )
    with SemanticSpace.open("s.unisem", encoder=toy) as space:
        expected = space.search("blue cover", k=1, match="text", neighbors=1)
        assert brought == [hit.record.id for hit in expected]
        assert any(hit.record.image is not None for hit in expected)
    assert len(alone) == 1
    assert len(brought) > 1


def test_a_reranker_with_its_calibration_and_what_it_judges(
    run: Run, built: Path, tmp_path: Path, toy: ToyEncoder
) -> None:
    model = save_picture_cross_encoder(tmp_path)
    RerankCalibration(judged=3, own=2, offset=-1).save(model)
    options = ["--reranker", model, "--rerank-modality", "image", "--rerank-seconds", 60]
    result = run("search", built, "a red card", "-k", 3, "--json", *options)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    with SemanticSpace.open(built, encoder=toy) as space:
        asked = Reranking.load(model, modalities=["image"])
        assert asked.calibration == RerankCalibration(judged=3, own=2, offset=-1)
        hits = space.search("a red card", k=3, reranker=asked)
    assert [(hit["id"], hit["score"], hit["judged"]) for hit in answer["hits"]] == [
        (hit.record.id, pytest.approx(hit.score, abs=1e-5), pytest.approx(hit.judged, abs=1e-5))
        for hit in hits  # batches of other sizes round otherwise
    ]
    said = answer["reranking"]
    assert said["judged"] == said["candidates"] > 0
    assert said["left"] == 0
    assert f"reranked {said['judged']} of {said['candidates']} candidates" in result.stderr
    twice = [*options[:4], "--rerank-modality", "text", *("--json", "-k", 3)]
    both, every = (
        json.loads(run("search", built, "a red card", *told).stdout)
        for told in (twice, [*options[:2], "--json", "-k", 3])
    )
    assert both["hits"] == every["hits"]
    assert both["reranking"]["candidates"] > said["candidates"]
    assert run("search", built, "red", "--rerank-seconds", 1).exit_code == 2
    assert run("search", built, "red", "--search-weight", 0.5).exit_code == 2
    mixed = run("search", built, "red", "--reranker", model, "--mode", "hybrid")
    assert mixed.exit_code == 2
    assert run("search", built, "red", "--reranker", tmp_path / "nowhere").exit_code == 1


def test_a_prompt_answers_line_by_line(built: Path, toy: ToyEncoder) -> None:
    asked = (
        "red\n\n:k 1\nblue\n:mode keyword\ngreen\n:filter nothing = 1\n:filter\n:like 9\n:what\n"
        ":help\n"
    )
    done = CliRunner().invoke(application("search"), ["search", str(built), "-k", "2"], input=asked)
    assert done.exit_code == 0
    assert [line.split()[:2] for line in done.stderr.splitlines() if " ms" in line] == [
        ["2", "hits"],
        ["1", "hit"],
        ["1", "hit"],
    ]
    for said in ("nothing = 1", "no filter", "error: the last answer has no hit 9", "error: :what"):
        assert said in done.stderr
    assert done.stderr.count(":like 3") == 1
    assert done.stdout.count("score") == 3


def test_the_prompt_goes_on_from_a_hit_and_from_a_picture(built: Path, cards: Path) -> None:
    asked = f":image {cards / 'red.png'}\n:like 1\n:image {cards / 'nothing.png'}\n:k 0\n:q\nred\n"
    asked = f":mode hybrid\n{asked}"  # which a picture alone has no words for
    done = CliRunner().invoke(application("search"), ["search", str(built), "-k", "1"], input=asked)
    assert done.exit_code == 0
    assert done.stdout.count("red.png") == 1  # which is not like itself
    assert "nothing.png: does not exist" in done.stderr
    assert ":k needs a whole number" in done.stderr
    assert done.stderr.count(" ms") == 2


def test_what_is_kept_of_a_search_is_what_is_shown(run: Run, built: Path) -> None:
    assert run("feedback", "on", built).exit_code == 0
    asked = "red\n:like 1\n:like 1\n"
    options = ["search", str(built), "-k", "3", "--mode", "keyword", "--html", "page.html"]
    done = CliRunner().invoke(application("search"), options, input=asked)
    assert done.exit_code == 0
    _, like, again = Feedback(built).searches()
    assert max(len(like.shown), len(again.shown)) <= 3
    table = done.stdout.split("score")[2]
    assert [line.split()[2] for line in table.splitlines() if line[:1].isdigit()] == [*like.shown]
    text = Path("page.html").read_text(encoding="utf-8")
    shown = [text.index(f">{name}<") for name in again.shown]
    assert shown == sorted(shown)
    alone = json.loads(run("search", built, like.query, *options[2:6], "--json").stdout)["hits"]
    assert alone[0]["id"] not in like.shown

    for duplicates in ("keep", "same"):
        streamed = run("search", built, "a card", "-k", 4, "--jsonl", "--duplicates", duplicates)
        ids = [json.loads(line)["id"] for line in streamed.stdout.splitlines()]
        assert len(ids) == 4
    assert Feedback(built).searches()[-1].shown == tuple(ids)


def test_what_surrounds_hits_does_not_count_where_more_is_asked_for(
    built: Path, toy: ToyEncoder
) -> None:
    with SemanticSpace.open(built, encoder=toy) as space:
        names = [f"c{number}" for number in range(12)]
        for name, before, after in zip(names[1:-1], names, names[2:], strict=False):
            space.add(
                [Record(id=name, text=f"red {name}", links={"previous": before, "next": after})]
            )
        answering = Answering(space, Query(text="red c5", k=3, neighbors=1), [])
        found = answering.answer(answering.query, unlike="c5")
        alone = replace(answering.query, neighbors=0, k=4)
        others = [hit.record.id for hit in space.search_query(alone) if hit.record.id != "c5"]
    assert set(others[:3]) <= {hit.record.id for hit in found}
    assert len(found) > 3
    assert any("c5" in hit.record.links.values() for hit in found)
    assert "c5" not in {hit.record.id for hit in found}  # nor as a neighbour


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":image ~nosuchuser/x.png", "~nosuchuser"),
        (":image", ":image needs a file"),
        ("red \udcff", "Is a directory"),
        ("red", "Is a directory"),
    ],
)
def test_the_prompt_outlives_what_goes_wrong(built: Path, line: str, said: str) -> None:
    asked = f"{line}\n:k 7\n:help\n".encode(errors="surrogateescape")
    options = ["search", str(built), "--html", str(built.parent)]
    done = CliRunner().invoke(application("search"), options, input=asked)
    assert done.exit_code == 0, done.exception
    errors = [it for it in done.stderr.splitlines() if it.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert ":like 3" in done.stderr


@pytest.mark.parametrize("options", [(), ("--batch", "-")])
def test_a_closed_input_is_told(
    built: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UniSemError, match="standard input is closed"):
        search(built, batch=next(iter(options[1:]), None))


def test_a_batch_answers_every_line(run: Run, built: Path, cards: Path) -> None:
    Path("asked.txt").write_text("red\n\n  blue \n", encoding="utf-8-sig")
    answers = [
        json.loads(line)
        for line in run("search", built, "--batch", "asked.txt").stdout.splitlines()
    ]
    assert [answer["query"]["text"] for answer in answers] == ["red", "blue"]
    for answer in answers:
        alone = json.loads(run("search", built, answer["query"]["text"], "--json").stdout)
        assert answer == alone
    picture = {"image": str(cards / "red.png")}
    lines = [json.dumps(it) for it in (picture, {"text": "red"}, picture | {"text": "red"})]
    Path("asked.jsonl").write_text("\n".join(lines))
    answers = [
        json.loads(line)
        for line in run("search", built, "--batch", "asked.jsonl").stdout.splitlines()
    ]
    assert [(it["query"]["text"], it["query"]["image"]) for it in answers] == [
        (None, picture["image"]),
        ("red", None),
        ("red", picture["image"]),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2"),
        ("[" * 100_000, "line 2: is nested too deeply"),
        ("[" * (3 << 20), "line 2: has more than 1,048,576 characters"),
        ("[]", "must be an object"),
        ('{"text": 1}', "must be strings"),
        ('{"k": 1}', "must be an object"),
        ('{"image": "nowhere.png"}', "nowhere.png"),
        ('{"image": "https://x/y.png"}', "fetches nothing"),
    ],
)
def test_a_line_that_is_no_question_is_named(run: Run, built: Path, line: str, said: str) -> None:
    Path("asked.jsonl").write_text(f'{{"text": "red"}}\n{line}\n')
    done = run("search", built, "--batch", "asked.jsonl")
    assert done.exit_code == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert run("search", built, "red", "--batch", "asked.jsonl").exit_code == 2
    assert run("search", built, "--json").exit_code == 2


def test_a_file_that_is_gone_is_marked(run: Run, built: Path, cards: Path) -> None:
    (cards / "red.png").unlink()
    shown = run("search", built, "red", "-k", 20).stdout
    assert shown.count("gone") == 1


def test_hits_may_be_unlike_each_other(run: Run, built: Path, toy: ToyEncoder) -> None:
    found = json.loads(run("search", built, "red", "-k", 3, "--diversity", 1, "--json").stdout)
    with SemanticSpace.open(built, encoder=toy) as space:
        expected = space.search("red", k=3, diversity=1, duplicates="near")
    assert [hit["id"] for hit in found["hits"]] == [hit.record.id for hit in expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a red card", ""),
        ("La La Land", ""),
        ("los angeles and las vegas", ""),
        ("crème brûlée", ""),
        ("Rio de Janeiro", ""),
        ("pour a cup", ""),
        ("eine rote Karte", "another language"),
        ("un chat sur le lit", "another language"),
        ("gatos en la playa", "another language"),
        ("красная карта", "Cyrillic"),
        ("红色的卡片", "Chinese"),
        ("🐱 42", ""),
    ],
)
def test_a_language_that_the_encoder_does_not_know_is_said(text: str, said: str) -> None:
    query = Query(text=text)
    mini = SimpleNamespace(name="mini")
    remark = unknown_language(query, mini)  # type: ignore[arg-type]
    assert bool(remark) == bool(said)
    assert said in remark
    assert not unknown_language(query, ToyEncoder())
    assert not unknown_language(replace(query, mode="keyword"), mini)  # type: ignore[arg-type]
