"""Cutting texts: at the largest seams, no longer than wanted, no longer than an encoder reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisem.readers.chunks import PassageLimit, chunk_text


def few_vowels(text: str) -> bool:
    """An encoder that has a token for each vowel and each Chinese character, and reads ten."""
    return sum(letter in "aeiou" or letter > "\u3000" for letter in text) <= 10


@given(st.text("aeb. \n世界。", max_size=200), st.integers(1, 60))
def test_passages_are_short_enough_for_both_and_lose_nothing(text: str, size: int) -> None:
    limit = PassageLimit(size, few_vowels)
    for pieces in (limit.cut(text), limit.cut_lines(text)):
        assert all(piece and len(piece) <= size and few_vowels(piece) for piece in pieces)
        assert "".join("".join(pieces).split()) == "".join(text.split())


def test_what_is_many_tokens_is_cut_earlier() -> None:
    text = "Rhythm by my gym. 世界世界世界世界。 Try, try, try my myth."
    assert chunk_text(text, 100) == [text]
    assert chunk_text(text, 100, reads_whole=few_vowels) == [text]
    assert chunk_text(text + " 世界", 100, reads_whole=few_vowels) == [
        text,
        "世界",
    ]


def test_lines_stay_whole_while_they_fit() -> None:
    limit = PassageLimit(12)
    assert limit.cut_lines("one two\nthree\nfour\n\n    five") == [
        "one two",
        "three\nfour\n",
        "    five",
    ]
    assert limit.cut_lines("a line that is long\nb") == ["a line that", "is long\nb"]


def test_what_follows_a_head_fits_with_it() -> None:
    limit = PassageLimit(20, few_vowels)
    head = "aaaa bbb"
    assert limit.has_room_after(head)
    assert not limit.has_room_after("aaaaaa")
    for piece in limit.after(head).cut("eeeeeeeeeee xxx xxx xxx"):
        assert limit.holds(f"{head}\n\n{piece}")


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        chunk_text("text", 0)
