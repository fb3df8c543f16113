"""The example gallery is complete, consistent and small, and its build refuses bad sources."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "examples" / "gallery"
COLUMNS = ["file_name", "text", "title", "keywords", "category", "author", "license", "source"]

RDF = """<svg xmlns="http://www.w3.org/2000/svg"><metadata>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:cc="http://web.resource.org/cc/"><cc:Work>
<dc:title>Cassa d&amp;#39;epoca</dc:title>
<dc:subject><rdf:Bag><rdf:li>Till</rdf:li><rdf:li>hash(0x86)</rdf:li><rdf:li>till</rdf:li>
<rdf:li/></rdf:Bag></dc:subject>
<dc:creator><cc:Agent><dc:title>Ann Example (ann@example.org)</dc:title></cc:Agent></dc:creator>
<cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/>
</cc:Work></rdf:RDF></metadata></svg>"""


def read_metadata() -> list[dict[str, Any]]:
    lines = (GALLERY / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return read_metadata()


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_gallery", ROOT / "tools/build_gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_listed_once_and_exists(rows: list[dict[str, Any]]) -> None:
    listed = [row["file_name"] for row in rows]
    assert len(listed) >= 300
    assert len(set(listed)) == len(listed)
    on_disk = {path.relative_to(GALLERY).as_posix() for path in (GALLERY / "images").iterdir()}
    assert set(listed) == on_disk
    assert all(re.fullmatch(r"images/[a-z0-9-]+\.png", name) for name in listed)


def test_no_file_name_reads_as_a_data_set_split(rows: list[dict[str, Any]]) -> None:
    """`datasets` takes "sign-steam-train.png" for a train split and leaves out all the rest."""
    splits = {"train", "training", "validation", "valid", "val", "dev"}
    splits |= {"test", "testing", "eval", "evaluation"}
    for row in rows:
        assert splits.isdisjoint(re.findall(r"[a-z]+", row["file_name"])), row["file_name"]


def test_pictures_open_and_are_small_and_distinct(rows: list[dict[str, Any]]) -> None:
    seen: dict[bytes, str] = {}
    for row in rows:
        name = row["file_name"]
        with Image.open(GALLERY / name) as picture:
            assert picture.format == "PNG", name
            assert max(picture.size) <= 320, name
            pixels = picture.convert("RGB")
        assert pixels.getextrema() != ((255, 255),) * 3, f"{name} is blank"
        assert seen.setdefault(pixels.tobytes(), name) == name, f"{name} is a duplicate"


def test_captions_are_distinct_sentences_of_reasonable_length(rows: list[dict[str, Any]]) -> None:
    captions = Counter(row["text"].lower() for row in rows)
    assert [text for text, count in captions.items() if count > 1] == []
    for row in rows:
        assert 3 <= len(row["text"].split()) <= 20, row["text"]
        assert row["text"] == row["text"].strip(), row["text"]
        assert row["text"][0].isupper(), row["text"]


def test_every_row_has_its_columns_and_its_credits(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row) == COLUMNS, row["file_name"]
        assert row["license"] == "public domain"
        for column in ("author", "title", "category", "keywords"):
            assert row[column], (row["file_name"], column)
        assert all(row["keywords"]), row["file_name"]
        assert row["source"].startswith("usr/share/openclipart/png/")
        assert "@" not in json.dumps(row), f"{row['file_name']} shows an e-mail address"
    sources = [row["source"] for row in rows]
    assert len(set(sources)) == len(sources)


def test_metadata_is_what_the_selection_says(rows: list[dict[str, Any]]) -> None:
    path = ROOT / "tools" / "gallery_selection.tsv"
    with path.open(encoding="utf-8", newline="") as lines:
        chosen = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    written = [(row["file_name"], row["category"], row["text"], row["source"]) for row in rows]
    assert written == [
        (
            f"images/{row['image']}",
            row["category"],
            row["caption"],
            f"usr/share/openclipart/png/{row['source']}",
        )
        for row in chosen
    ]


def test_texts_exist_and_some_are_longer_than_one_chunk() -> None:
    texts = sorted((GALLERY / "texts").glob("*.md"))
    assert 10 <= len(texts) <= 14
    lengths = [len(path.read_text(encoding="utf-8").split()) for path in texts]
    assert all(60 <= length <= 270 for length in lengths)
    assert sum(length >= 230 for length in lengths) >= 2


def test_readme_counts_are_true(rows: list[dict[str, Any]]) -> None:
    readme = (GALLERY / "README.markdown").read_text(encoding="utf-8")
    texts = list((GALLERY / "texts").glob("*.md"))
    assert f"{len(rows)} small pictures with captions, and {len(texts)} short texts" in readme
    stated = {name: int(count) for name, count in re.findall(r"\| ([a-z]+) \| (\d+) ", readme)}
    assert stated == Counter(row["category"] for row in rows)


def test_gallery_is_at_most_eight_megabytes() -> None:
    assert sum(p.stat().st_size for p in GALLERY.rglob("*") if p.is_file()) <= 8_000_000


def test_credits_are_cleaned(builder: ModuleType) -> None:
    credits = builder.read_credits(RDF.encode(), "till.svg")
    assert credits.title == "Cassa d'epoca"
    assert credits.author == "Ann Example"
    assert credits.keywords == ("till",)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<svg ", '<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg ', "XML entities"),
        ("cc/PublicDomain", "licenses/GPL/2.0/", "not dedicated to the public domain"),
        ("cc:license", "cc:permits", "not dedicated to the public domain"),
    ],
)
def test_bad_sources_are_refused(builder: ModuleType, old: str, new: str, complaint: str) -> None:
    svg = RDF.replace(old, new)
    assert svg != RDF
    with pytest.raises(builder.GalleryError, match=complaint):
        builder.read_credits(svg.encode(), "bad.svg")


def test_shrink_crops_flattens_and_never_enlarges(builder: ModuleType, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (1000, 700), (0, 0, 0, 0))
    picture.paste((200, 0, 0, 255), (100, 100, 140, 120))  # 40 x 20 visible pixels
    picture.save(tmp_path / "small.png")
    small = builder.shrink(tmp_path / "small.png").convert("RGB")
    assert small.size == (40 + 16, 20 + 16)
    assert small.getpixel((0, 0)) == (255, 255, 255)
    assert small.getpixel((28, 18)) == (200, 0, 0)

    Image.new("RGB", (1000, 700), "blue").save(tmp_path / "large.png")
    assert max(builder.shrink(tmp_path / "large.png").size) == 320

    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "empty.png")
    with pytest.raises(builder.GalleryError, match="fully transparent"):
        builder.shrink(tmp_path / "empty.png")
