"""Words of captions, and what was found of them: counted by hand."""

from __future__ import annotations

from benchmarks.caption_words import WordRecall, caption_words, words_of


def test_words_of_a_caption_and_what_was_found_of_them() -> None:
    assert caption_words("Clipart by someone - Red_cat 2. animal, unsorted, PET") == {
        "red",
        "cat",
        "animal",
        "pet",
    }
    assert words_of("A drawing of a Red cat, and a cat") == ["red", "cat"]
    found = WordRecall.of([["red", "dog"], []], [{"red", "cat", "pet"}, {"sun"}])
    assert found.recall.tolist() == [1 / 3, 0]
    assert found.precision.tolist() == [1 / 2, 0]
