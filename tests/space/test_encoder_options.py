"""A space remembers how its encoder was asked to embed, and takes no other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.clients.live import serving
from unisem import Record, SemanticSpace, load_encoder
from unisem.cli.app import application
from unisem.cli.encoder_options import encoder_for
from unisem.encoders import Encoder, EncoderOptions
from unisem.errors import CorruptStoreError, EncoderMismatchError, ExchangeError, ServiceError
from unisem.exchange import export_space, import_space
from unisem.service.http.app import create_app

ASKED: dict[str, Any] = {"dimension": 32, "query_instruction": "a picture of "}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built") / "s.unisem"
    with SemanticSpace.open(place, encoder=load_encoder("mini", device="cpu", **ASKED)) as space:
        space.add([Record(id="a", text="a tiger"), Record(id="b", text="a teapot")])
    return place


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "s.unisem"))


def test_a_space_opens_with_its_options(place: Path) -> None:
    with SemanticSpace.open(place) as space:
        assert space.encoder.options == EncoderOptions(**ASKED)
        assert space.store.dimension == 32
        assert space.search(text="a big striped cat", k=1)[0].record.id == "a"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, "dimension=32, query_instruction='a picture of ', not with 'mini' and no dimension"),
        (ASKED | {"dimension": 64}, "'mini' and dimension=32, not with 'mini' and dimension=64"),
        ({"dimension": 32}, "query_instruction='a picture of ', not with 'mini' and no query_ins"),
        (ASKED | {"document_instruction": ""}, "not with 'mini' and document_instruction=''"),
    ],
)
def test_other_options_are_refused_and_named(place: Path, other: dict[str, Any], said: str) -> None:
    with pytest.raises(EncoderMismatchError, match=said):
        SemanticSpace.open(place, encoder=load_encoder("mini", device="cpu", **other))


def test_a_command_asks_for_more_than_a_space_remembers(place: Path) -> None:
    asked = encoder_for(None, EncoderOptions(dtype="bfloat16"), place)
    assert isinstance(asked, Encoder)
    assert asked.options == EncoderOptions(**ASKED, dtype="bfloat16")


def test_a_plain_space_says_what_it_always_said(tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem") as space:
        known = json.loads((tmp_path / "s.unisem" / "manifest.json").read_text())
        assert known.keys() == {"encoder", "fingerprint", "store", "format", "unisem"}
        assert known["fingerprint"] == space.encoder.fingerprint


@pytest.mark.parametrize(
    "options",
    [
        [],
        "x",
        {"dimension": "32"},
        {"dimension": 1 << 40},
        {"query_instruction": "x" * 5000},
        {"query_instruction": 7},
        {"dtype": "int8"},
        {"attention": "somebody/kernels"},
        {"trust_remote_code": True},
        {"device": "cuda"},
    ],
)
def test_a_strangers_options_are_checked(place: Path, options: object) -> None:
    file = place / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"options": options}))
    with pytest.raises(CorruptStoreError, match="cannot be read"):
        SemanticSpace.open(place)


def test_a_strangers_attention_is_not_taken(place: Path) -> None:
    file = place / "manifest.json"
    known = json.loads(file.read_text())
    known["options"]["attention"] = "flash_attention_2"
    file.write_text(json.dumps(known))
    with SemanticSpace.open(place) as space:
        assert space.encoder.options.attention is None


def test_an_export_knows_its_options(place: Path, tmp_path: Path) -> None:
    export_space(place, tmp_path / "e")
    with SemanticSpace.open(None, encoder=load_encoder("mini", device="cpu", **ASKED)) as space:
        assert import_space(tmp_path / "e", space).embedded == 0
    described = tmp_path / "e" / "export.json"
    told = json.loads(described.read_text())
    assert told["options"] == ASKED
    described.write_text(json.dumps(told | {"options": {"dimension": -1}}))
    with pytest.raises(ExchangeError, match="dimension must be"):
        import_space(tmp_path / "e", space)


def test_commands_make_show_and_move_such_a_space(tmp_path: Path) -> None:
    def run(*arguments: object) -> Result:
        said = [str(argument) for argument in arguments]
        return CliRunner().invoke(application(said[0]), said)

    folder, place = tmp_path / "texts", tmp_path / "s.unisem"
    folder.mkdir()
    (folder / "a.txt").write_text("a tiger")
    asked = ("--dimension", "32", "--query-instruction", "a picture of ")
    for options in (("--encoder", "mini", *asked), (), asked):
        done = run("index", folder, "--into", place, *options)
        assert (done.exit_code, done.stderr) == (0, "")
    stats = json.loads(run("store", "stats", place, "--json").output)
    assert (stats["options"], stats["dimension"]) == (ASKED, 32)
    shown = run("store", "stats", place).output
    assert "query instruction  a picture of" in shown
    other = run("index", folder, "--into", place, "--dimension", "64")
    assert other.exit_code == 1
    assert "dimension=32" in other.stderr
    assert run("index", folder, "--into", place, "--dimension", "0").exit_code == 2

    assert run("store", "export", place, tmp_path / "e").exit_code == 0
    assert run("store", "import", tmp_path / "e", "--into", tmp_path / "t.unisem").exit_code == 0
    stats = json.loads(run("store", "stats", tmp_path / "t.unisem", "--json").output)
    assert stats["options"] == ASKED


def test_a_space_moves_to_cut_vectors_without_encoding(tmp_path: Path) -> None:
    whole, cut = (
        load_encoder("mini", device="cpu"),
        load_encoder("mini", device="cpu", dimension=48),
    )
    words = {"a": "a tiger", "b": "a teapot"}
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=whole) as space:
        space.add([Record(id=name, text=text) for name, text in words.items()])
    export_space(tmp_path / "s.unisem", tmp_path / "e")
    with SemanticSpace.open(None, encoder=cut) as space:
        with pytest.raises(ExchangeError, match="made by the encoder 'mini'"):
            import_space(tmp_path / "e", space)
        report = import_space(tmp_path / "e", space, vectors="truncate")
        assert (report.records, report.embedded) == (2, 0)
        kept = {it.record.id: it.vectors["text"] for it in space.store.embedded()}
        for name, text in words.items():
            np.testing.assert_allclose(kept[name], cut.encode_texts([text])[0], atol=1e-6)
        export_space(space, tmp_path / "cut")
    with SemanticSpace.open(None, encoder=load_encoder("mini", dimension=16)) as space:
        assert import_space(tmp_path / "cut", space, vectors="truncate").embedded == 0
        kept = {it.record.id: it.vectors["text"] for it in space.store.embedded()}
        for name, text in words.items():
            wanted = space.encoder.encode_texts([text])[0]
            np.testing.assert_allclose(kept[name], wanted, atol=1e-6)
        with serving(create_app({"cut": space})) as url, SemanticSpace.connect(url) as far:
            assert import_space(tmp_path / "e", far, vectors="truncate").embedded == 0
            far.encoder._space.info.options["device"] = "cuda"  # type: ignore[attr-defined]
            with pytest.raises(ServiceError, match="no option 'device'"):
                assert far.encoder.options
    with (
        SemanticSpace.open(None, encoder=load_encoder("mini", dimension=64)) as space,
        pytest.raises(ExchangeError, match=r"with dimension=48, .* with dimension=64; they"),
    ):
        import_space(tmp_path / "cut", space, vectors="truncate")
    other = load_encoder("mini", device="cpu", dimension=48, query_instruction="a picture of ")
    with (
        SemanticSpace.open(None, encoder=other) as space,
        pytest.raises(ExchangeError, match="they cannot be compared"),
    ):
        import_space(tmp_path / "e", space, vectors="truncate")
