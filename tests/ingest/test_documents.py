"""Documents in a folder: read once, read again when they have changed, kept when they fail."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.hostile_pdfs import nested_forms
from tests.support.manuals import manual
from tests.support.pictures import encoded, solid
from tests.support.toy import ToyEncoder
from unisem import SemanticSpace
from unisem.encoders import Role
from unisem.encoders.base import Progress
from unisem.errors import ImageError
from unisem.images.region import Region
from unisem.ingest.document_counts import DocumentCounts
from unisem.ingest.pruning import Pruning
from unisem.records import Vector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "machine.pdf").write_bytes(manual(pages=5))
    return folder


def test_an_unchanged_document_is_not_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        first = space.add_folder(folder)
        assert (first.added, first.skipped) == (8, ())
        monkeypatch.setattr("unisem.readers.documents.pdf.PdfFile", None)
        again = space.add_folder(folder)
        assert (again.added, again.unchanged, again.removed) == (0, 8, 0)


def test_only_what_has_changed_is_embedded_again(folder: Path, tmp_path: Path) -> None:
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder)
        before = encoder.texts_encoded, encoder.images_encoded
        (folder / "machine.pdf").write_bytes(manual(pages=5, extra="Mind the spring."))
        report = space.add_folder(folder)
        assert report.skipped == ()
        assert (encoder.texts_encoded - before[0], encoder.images_encoded - before[1]) == (1, 0)
        assert any("spring" in (hit.record.text or "") for hit in space.search("spring", k=3))


def test_pages_that_are_gone_go(folder: Path, tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        (folder / "machine.pdf").write_bytes(manual(pages=3))
        assert space.add_folder(folder).removed == 2
        assert space.get(["manuals/machine.pdf#p5-1"]) == [None]


def test_a_document_that_fails_keeps_what_it_had(folder: Path, tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        (folder / "machine.pdf").write_bytes(b"%PDF-1.7 half of it")
        report = space.add_folder(folder)
        assert (report.removed, len(space)) == (0, 8)
        assert "machine.pdf" in report.skipped[0].name


def test_a_document_that_is_gone_goes_with_its_figures(folder: Path, tmp_path: Path) -> None:
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        (folder / "machine.pdf").unlink()
        (folder / "other.txt").write_text("so that the folder is not empty")
        report = space.add_folder(folder, prune=Pruning.NOW)
        assert len(report.gone) == 8
        assert len(space) == 1


def test_pictures_of_a_page_are_its_figures_and_no_records_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(solid("red")))
    (folder / "b.png").write_bytes(encoded(solid("blue")))
    (folder / "page.html").write_text(
        "<h1>Menu</h1><p>See Figure 1.</p>"
        "<figure><img src='a.png'><figcaption>Figure 1: The menu.</figcaption></figure>"
    )
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(folder)
        assert (report.added, report.skipped) == (3, ())
        passage, figure, alone = space.get(
            ["site/page.html#1", "site/page.html#figure-1", "site/b.png"]
        )
        assert passage is not None
        assert figure is not None
        assert alone is not None
        assert passage.links["figure"] == figure.id
        assert figure.metadata["section"] == "Menu"
        again = space.add_folder(folder)
        assert (again.added, again.unchanged, again.removed) == (0, 3, 0)


def test_what_is_not_installed_costs_its_documents_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "page.html").write_text("<p>How to oil the hinges</p>")
    (folder / "note.txt").write_text("a note")
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(folder)
        (skipped,) = report.skipped
        assert skipped.name.endswith("machine.pdf")
        assert "needs pypdfium2" in skipped.reason
        assert 'pip install "unisem[documents]"' in skipped.reason
        assert None not in space.get(["manuals/note.txt", "manuals/page.html#1"])


def test_progress_goes_on_within_a_document(folder: Path, tmp_path: Path) -> None:
    (folder / "machine.pdf").write_bytes(manual(pages=40))
    (folder / "note.txt").write_text("a note")
    seen: list[tuple[int, int]] = []
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder, progress=lambda *done: seen.append(done))
        assert seen[:40] == [(page, page + 2) for page in range(1, 41)]  # while it is read
        assert all(done <= total for done, total in seen)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1] == (40 + 43 + 1, 40 + 43 + 1)  # its pages, its records, the note
        again: list[tuple[int, int]] = []
        space.add_folder(folder, progress=lambda *done: again.append(done))
        assert again[-1] == (2, 2)


class Interrupted(ToyEncoder):
    """Ctrl-C comes when it is to embed a passage of the 30th page."""

    def encode_texts(self, texts: Any, *args: Any, **options: Any) -> Any:
        if any("page number 30" in text for text in texts):
            raise KeyboardInterrupt
        return super().encode_texts(texts, *args, **options)


def test_ctrl_c_within_a_document_keeps_what_was_embedded(folder: Path, tmp_path: Path) -> None:
    (folder / "machine.pdf").write_bytes(manual(pages=60))
    with (
        SemanticSpace.open(tmp_path / "s.unisem", encoder=Interrupted()) as space,
        pytest.raises(KeyboardInterrupt),
    ):
        space.add_folder(folder)
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        kept = len(space)
        assert 0 < kept < 63
        report = space.add_folder(folder)
        assert (report.added, report.unchanged, len(space)) == (63 - kept, kept, 63)
        assert encoder.texts_encoded == 63 - kept


def test_what_is_in_documents_is_counted(folder: Path, tmp_path: Path) -> None:
    (folder / "page.md").write_text("# One\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 half of it")
    (folder / "note.txt").write_text("a note")
    expected = DocumentCounts(documents=2, pages=5, figures=2, tables=2)
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        assert space.add_folder(folder).documents == expected
        assert space.add_folder(folder).documents == expected


def passages(*names: str) -> str:
    return "".join(f"<h1>On {name}</h1><p>What is said about {name}.</p>" for name in names)


NUMBERS = [f"number {number}" for number in range(150)]


def test_what_moves_within_a_document_keeps_its_own_vectors(tmp_path: Path) -> None:
    """However far: by then other passages are stored under the ids that they had."""
    folder = tmp_path / "site"
    folder.mkdir()
    page = folder / "page.html"
    page.write_text(passages(*NUMBERS))
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder)
        before = encoder.texts_encoded
        new = [f"novelty {number}" for number in range(100)]
        page.write_text(passages(*new, *NUMBERS))
        space.add_folder(folder)
        assert encoder.texts_encoded == before + len(new)
        ids = [f"site/page.html#{number}" for number in range(1, 251)]
        stored = [record.text or "" for record in space.get(ids) if record is not None]
        found = [vectors["text"] for vectors in space.store.vectors(ids) if vectors is not None]
        assert len(stored) == len(found) == 250
        np.testing.assert_allclose(np.stack(found), ToyEncoder().encode_texts(stored), atol=1e-6)


class InterruptedAt(ToyEncoder):
    """Is interrupted when it is to encode a certain text."""

    at: str | None = None

    def encode_texts(
        self,
        texts: Sequence[str],
        role: Role = "document",
        *,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> Vector:
        if self.at is not None and any(self.at in text for text in texts):
            raise KeyboardInterrupt
        return super().encode_texts(texts, role, batch_size=batch_size, progress=progress)


def test_a_document_that_is_what_it_was_before_an_interruption_is_read_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    page = folder / "page.html"
    first, second = passages(*NUMBERS), passages(*(f"second {name}" for name in NUMBERS))
    encoder = InterruptedAt()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        page.write_text(first)
        space.add_folder(folder)
        page.write_text(second)
        encoder.at = "second number 90."
        with pytest.raises(KeyboardInterrupt):
            space.add_folder(folder)
        encoder.at = None
        assert len(space) == len(NUMBERS)
        page.write_text(first)
        space.add_folder(folder)
        records = space.get([f"site/page.html#{number}" for number in range(1, 151)])
        assert not any("second" in (record.text or "") for record in records if record is not None)


def test_what_a_document_has_lost_goes_although_a_later_one_is_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.html").write_text(passages(*NUMBERS))
    encoder = InterruptedAt()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        space.add_folder(folder)
        (folder / "a.html").write_text(passages(*NUMBERS[:50]))
        (folder / "b.html").write_text(passages(*(f"later {name}" for name in NUMBERS)))
        encoder.at = "later number 149."
        with pytest.raises(KeyboardInterrupt):
            space.add_folder(folder)
        encoder.at = None
        space.add_folder(folder)
        assert len(space) == 50 + 150
        assert space.get(["site/a.html#51"]) == [None]


def test_a_document_that_was_away_comes_back_whole(tmp_path: Path) -> None:
    """Though another one says a part of the same."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.html").write_text(passages("the licence", "a"))
    (folder / "b.html").write_text(passages("the licence", "b"))
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        space.add_folder(folder)
        (folder / "b.html").rename(tmp_path / "b.html")
        report = space.add_folder(folder)
        assert (len(report.gone), report.renamed) == (2, 0)
        (tmp_path / "b.html").rename(folder / "b.html")
        space.add_folder(folder)
        assert len(space) == 4
        (folder / "b.html").rename(folder / "c.html")
        report = space.add_folder(folder)
        assert (report.gone, report.renamed, len(space)) == ((), 2, 4)


def test_a_document_that_ends_with_a_damaged_picture_is_read_once(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "bad.png").write_bytes(encoded(solid("red"))[:60])
    page = "<h1>Oil</h1><p>How to oil it.</p><img src='data:image/png;base64,AAAA' alt='a lamp'>"
    (folder / "page.html").write_text(page + "<img src='bad.png' alt='a hinge'>")
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=ToyEncoder()) as space:
        report = space.add_folder(folder)
        assert report.added == 1
        names = [skipped.name for skipped in report.skipped]
        assert names == ["site/page.html#figure-1", str(folder / "bad.png")]
        again = space.add_folder(folder)
        assert (again.added, again.unchanged, again.skipped) == (0, 1, ())


def test_pages_over_their_time_are_tried_and_told_by_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "manuals"
    folder.mkdir()
    (folder / "slow.pdf").write_bytes(nested_forms(kids=(15, 3, 15, 3, 15)))
    monkeypatch.setenv("UNISEM_PDF_SECONDS", "1")
    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        first = space.add_folder(folder)
        told = [it.reason.partition(",")[0] for it in first.skipped]
        assert told == ["page 2 is not read", "page 4 is not read"]
        embedded, stored = encoder.texts_encoded, list(space.store.select())
        again = space.add_folder(folder)
        assert (again.skipped, again.removed) == (first.skipped, 0)
        assert encoder.texts_encoded == embedded
        assert list(space.store.select()) == stored


def test_figures_that_could_not_be_rendered_are_tried_by_the_next_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renders = Region.render

    def tired(region: Region, data: bytes, name: str) -> bytes:
        if region.page == 2:
            raise ImageError(name, "takes PDFium longer than 1 s", again=True)
        return renders(region, data, name)

    encoder = ToyEncoder()
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=encoder) as space:
        with monkeypatch.context() as busy:
            busy.setattr(Region, "render", tired)
            first = space.add_folder(folder)
            assert first.added == 6
            assert [it.reason for it in first.skipped] == ["takes PDFium longer than 1 s"] * 2
            embedded = encoder.texts_encoded, encoder.images_encoded
            again = space.add_folder(folder)
            assert (again.added, again.unchanged, again.removed) == (0, 6, 0)
            assert again.skipped == first.skipped
            assert (encoder.texts_encoded, encoder.images_encoded) == embedded
        last = space.add_folder(folder)
        assert (last.skipped, len(space)) == ((), 8)
        assert encoder.texts_encoded - embedded[0] == encoder.images_encoded - embedded[1] == 2
        monkeypatch.setattr("unisem.readers.documents.pdf.PdfFile", None)
        assert space.add_folder(folder).unchanged == 8  # and is read now


class Brief(ToyEncoder):
    """Reads thirty words."""

    def reads_whole(self, text: str) -> bool:
        return len(text.split()) <= 30


def test_captions_longer_than_the_encoder_reads_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    long = "word " * 50
    for colour in ("red", "blue"):
        (folder / f"{colour}.png").write_bytes(encoded(solid(colour)))
    (folder / "red.txt").write_text(long)
    (folder / "blue.txt").write_text("a few words")
    for name, caption in (("a", "Figure 1: A few words."), ("b", f"Figure 1: {long}")):
        (folder / f"{name}-figure.png").write_bytes(encoded(solid("green")))
        (folder / f"{name}.html").write_text(
            f"<p>{long}</p><figure><img src='{name}-figure.png'><figcaption>{caption}</figcaption>"
            f"</figure><table><caption>Table 1{caption[8:]}</caption>"
            "<tr><td>1<td>2<tr><td>3<td>4</table>"
        )
    expected = {"site/red.png", "site/b.html#figure-1", "site/b.html#table-1"}
    with SemanticSpace.open(tmp_path / "s.unisem", encoder=Brief()) as space:
        report = space.add_folder(folder)
        assert report.skipped == ()
        assert set(report.long_captions) == expected
        assert space.add_folder(folder).long_captions == ()
    with SemanticSpace.open(tmp_path / "all.unisem", encoder=ToyEncoder()) as space:
        assert space.add_folder(folder).long_captions == ()
