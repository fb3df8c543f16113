"""What a folder's records say of each other, against a list written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pictures import solid
from unisem import SemanticSpace
from unisem.errors import GraphError
from unisem.graph.sources.record_links import RecordLinks
from unisem.records import Record
from unisem.stores.graph import Mention, Relation

CROP = """# 4.4. Crop
Cuts a picture. See [guides](sub/guides.md#two) and [nothing](absent.md), [the web](https://a.b/).

## Options
Figure 1 shows them; go [up](#44-crop).

![](crop.png)

*Figure 1. The options*
"""
GUIDES = """# Guides
Lines.

## Two
More lines.
"""


@pytest.fixture
def manual(tmp_path: Path, space: SemanticSpace) -> SemanticSpace:
    folder = tmp_path / "manual"
    (folder / "sub").mkdir(parents=True)
    (folder / "crop.md").write_text(CROP)
    (folder / "sub" / "guides.md").write_text(GUIDES)
    solid("red").save(folder / "crop.png")
    assert not space.add_folder(folder).skipped
    return space


def test_sections_links_figures_and_folders(manual: SemanticSpace) -> None:
    found = RecordLinks(manual.store, manual.image_library)
    names = {one.id: (one.name, one.aliases, one.kind) for one in found.entities()}
    crop, guides = "manual/crop.md", "manual/sub/guides.md"
    assert names == {
        f"document:{crop}": ("crop", (), "document"),
        f"section:{crop}#4.4. Crop": ("Crop", ("4.4. Crop",), "section"),
        f"section:{crop}#4.4. Crop > Options": ("Options", (), "section"),
        f"figure:{crop}#figure-1": ("Figure 1. The options", (), "figure"),
        f"document:{guides}": ("guides", (), "document"),
        f"section:{guides}#Guides": ("Guides", (), "section"),
        f"section:{guides}#Guides > Two": ("Two", (), "section"),
        "folder:sub": ("sub", (), "folder"),
    }
    assert set(found.relations()) == {
        Relation(f"section:{crop}#4.4. Crop > Options", "part_of", f"section:{crop}#4.4. Crop"),
        Relation(f"section:{crop}#4.4. Crop", "part_of", f"document:{crop}"),
        Relation(f"section:{guides}#Guides > Two", "part_of", f"section:{guides}#Guides"),
        Relation(f"section:{guides}#Guides", "part_of", f"document:{guides}"),
        Relation(f"document:{guides}", "part_of", "folder:sub"),
        Relation(f"section:{crop}#4.4. Crop", "links_to", f"section:{guides}#Guides > Two"),
        Relation(f"section:{crop}#4.4. Crop > Options", "links_to", f"section:{crop}#4.4. Crop"),
    }
    options = f"section:{crop}#4.4. Crop > Options"
    assert set(found.mentions()) == {
        Mention(f"{crop}#1", f"section:{crop}#4.4. Crop"),
        Mention(f"{crop}#2", options),
        Mention(f"{crop}#2", f"figure:{crop}#figure-1"),
        Mention(f"{crop}#figure-1", options),
        Mention(f"{crop}#figure-1", f"figure:{crop}#figure-1"),
        Mention(f"{guides}#1", f"section:{guides}#Guides"),
        Mention(f"{guides}#2", f"section:{guides}#Guides > Two"),
    }
    graph = manual.graph
    report = graph.add(found.entities(), found.relations(), found.mentions())
    assert (report.entities, report.relations, report.mentions) == (8, 7, 7)
    assert report.homeless == 0


def test_fields_of_metadata_are_entities_where_they_are_asked_for(space: SemanticSpace) -> None:
    tags = ["red", 7, "red", None]
    space.add([Record(id="a", text="a card", metadata={"tags": tags, "author": "  Ann "})])
    found = RecordLinks(space.store, fields=["tags", "author", "absent"])
    assert {(one.id, one.name, one.kind) for one in found.entities()} == {
        ("tags:red", "red", "tags"),
        ("tags:7", "7", "tags"),
        ("author:Ann", "Ann", "author"),
    }
    assert len(list(found.mentions())) == 3
    assert list(RecordLinks(space.store).entities()) == []


def test_what_is_asked_for_has_to_be_there(space: SemanticSpace) -> None:
    with pytest.raises(GraphError, match="kinds are section, figure, page, folder, not 'word'"):
        RecordLinks(space.store, kinds=["word"])  # type: ignore[list-item]
    with pytest.raises(GraphError, match="a list of names"):
        RecordLinks(space.store, fields="tags")


def test_links_lead_to_no_file_outside_the_folders(tmp_path: Path, space: SemanticSpace) -> None:
    folder = tmp_path / "manual"
    folder.mkdir()
    (tmp_path / "secret.md").write_text("# Secret\nwords\n")
    (folder / "a.md").write_text("# A\n[out](../secret.md) [in](b.html#x)\n")
    (folder / "b.html").write_text("<h1 id=x>B</h1><p>words</p>")
    space.add_folder(folder)
    found = list(RecordLinks(space.store, space.image_library, kinds=["page"]).relations())
    assert not [one for one in found if "secret" in one.subject + one.object]
    assert Relation("section:manual/a.md#A", "links_to", "section:manual/b.html#B") in found
