"""Keyword search by parts of words, and in scripts that put no spaces between words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.stores.faiss.kind import FaissKind

GERMAN = {
    "cap": "Ein Kind mit einer blauen Pudelmütze",
    "hat": "die rote Mütze",
    "kennel": "Vor der Hundehütte steht ein Napf",
    "dog": "Der Hund bellt",
    "engine": "Ein Feuerwehrauto mit Leiter",
    "girl": "Das Maedchen mit dem Zopf",
    "green": "grüne Äpfel",
    "lamp": "Straßenlaterne bei Nacht",
    "hundred": "Hundert Luftballons",
}
ASKED = {  # what is to be found, and by whole words
    "Mütze": ({"hat", "cap"}, {"hat"}),
    "Pudelmütze": ({"cap", "hat"}, {"cap"}),
    "Pudelmützen": ({"cap"}, set()),
    "Muetze": ({"hat", "cap"}, set()),
    "Hund": ({"dog", "kennel", "hundred"}, {"dog"}),  # one that only looks like it comes along
    "Hütte": ({"kennel"}, set()),
    "Feuerwehr": ({"engine"}, set()),
    "Mädchen": ({"girl"}, set()),
    "Laterne": ({"lamp"}, set()),
    "strassenlaterne": ({"lamp"}, {"lamp"}),
    "Apfel": ({"green"}, {"green"}),  # diacritics never count
    "rot": (set(), set()),  # too short to be a part
}


@pytest.fixture(params=["whole", "parts"])
def german(request: pytest.FixtureRequest) -> Iterator[SemanticSpace]:
    with SemanticSpace.open(
        None, encoder=ToyEncoder(), store=FaissKind(words=request.param)
    ) as space:
        space.add([Record(id=name, text=text) for name, text in GERMAN.items()])
        yield space


def found(space: SemanticSpace, query: str) -> list[str]:
    return [hit.record.id for hit in space.search(query, k=100, mode="keyword")]


def test_parts_of_german_words_are_found_if_asked_for(
    german: SemanticSpace, request: pytest.FixtureRequest
) -> None:
    by_parts = request.node.callspec.params["german"] == "parts"
    for query, (with_parts, whole) in ASKED.items():
        answer = found(german, query)
        assert set(answer) == (with_parts if by_parts else whole), query
        assert len(answer) == len(set(answer))
        assert set(answer[: len(whole)]) == whole, query  # these come first


def test_it_is_a_way_of_asking_and_changes_no_file(tmp_path: Path) -> None:
    place = tmp_path / "german.unisem"
    with SemanticSpace.open(place, encoder=ToyEncoder()) as space:
        space.add([Record(id=name, text=text) for name, text in GERMAN.items()])
    before = (place / "catalog.sqlite").read_bytes()
    with SemanticSpace.open(place, encoder=ToyEncoder(), store=FaissKind(words="parts")) as space:
        assert found(space, "Feuerwehr") == ["engine"]
        assert not list(space.store.maintenance().check())
    assert (place / "catalog.sqlite").read_bytes() == before
    with SemanticSpace.open(place, encoder=ToyEncoder()) as space:
        assert found(space, "Feuerwehr") == []


def test_what_is_added_and_deleted_meanwhile_counts(german: SemanticSpace) -> None:
    if not found(german, "Feuerwehr"):
        pytest.skip("whole words")
    german.add([Record(id="new", text="Feuerwehrmann")])
    assert set(found(german, "Feuerwehr")) == {"engine", "new"}
    german.delete(["engine"])
    assert found(german, "Feuerwehr") == ["new"]


@pytest.mark.parametrize(
    "query", ["", "  ", '"* OR NEAR(', "a" * 100_000, "äöü", "%%%%", "____", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁﬁﬁﬁ"]
)
def test_any_query_is_answered(german: SemanticSpace, query: str) -> None:
    if query.strip():
        assert found(german, query) == []
    assert german.store.search_words(query, 3) == []


def test_another_choice_is_an_error() -> None:
    with pytest.raises(ValueError, match="whole"):
        SemanticSpace.open(
            None,
            encoder=ToyEncoder(),
            store=FaissKind(words="some"),  # type: ignore[arg-type]
        )


JAPANESE = [
    "黒い猫がソファで眠っている。",
    "東京都には多くの人が住んでいます。",
    "京都の秋はとても美しいです。",
    "彼は自転車で学校へ通っています。",
    "この図書館は月曜日が休みです。",
    "夏休みに海へ行きました。",
    "新しいコンピューターを買いたい。",
    "駅前のコンビニでおにぎりを買った。",
]
THAI = [
    "แมวดำนอนอยู่บนโซฟา",
    "กรุงเทพเป็นเมืองหลวงของประเทศไทย",
    "เด็กๆ เล่นน้ำในทะเล",
    "ฉันชอบกินข้าวผัดกับไข่ดาว",
    "รถไฟออกจากสถานีตอนแปดโมงเช้า",
    "ช้างเป็นสัตว์ประจำชาติของไทย",
    "วันนี้อากาศร้อนมาก",
    "เขาขี่จักรยานไปโรงเรียนทุกวัน",
]
WANTED = {  # words that stand in one of the sentences, or in two
    **{"猫": JAPANESE, "自転車": JAPANESE, "図書館": JAPANESE, "京都": JAPANESE, "海": JAPANESE},
    **{"コンピューター": JAPANESE, "コンビニ": JAPANESE, "月曜日": JAPANESE, "休み": JAPANESE},
    **{"แมว": THAI, "กรุงเทพ": THAI, "ทะเล": THAI, "ข้าวผัด": THAI, "รถไฟ": THAI, "ช้าง": THAI},
    **{"อากาศ": THAI, "จักรยาน": THAI, "โรงเรียน": THAI, "ไทย": THAI},
}


@pytest.mark.parametrize("words", ["whole", "parts"])
def test_words_of_sentences_without_spaces_are_found(words: str) -> None:
    """Where the letters of a word stand together is first, held against Python's ``in``."""
    sentences = [*JAPANESE, *THAI]
    kind = FaissKind(words=words)  # type: ignore[arg-type]
    with SemanticSpace.open(None, encoder=ToyEncoder(), store=kind) as space:
        space.add([Record(id=text, text=text) for text in sentences])
        for word, language in WANTED.items():
            holding = {text for text in sentences if word in text}
            answer = found(space, word)
            assert holding <= set(answer[: len(holding)]) <= set(language), word
