"""A tokenizer of the pieces that occur in a text cuts it as the tokenizer of all pieces does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.encoders.multilingual.test_encoder import CATS
from tests.support.examples import examples
from unisem import Encoder, load_encoder
from unisem.encoders.multilingual.vocabulary import Piece, Vocabulary, tokenizer_of
from unisem.encoders.multilingual.weights import Unpacked
from unisem.errors import EncoderError

TEXTS = [
    *CATS.values(),
    *("", " ", "  two  spaces  ", "\t\n\x00\x1b", "<s> <pad> </s> <unk> <mask>", "▁▁ ▁a"),
    *(
        "🐅🏻 tigre 虎 тигр نمر",
        "ｔｉｇｅｒ ﬁ ½ ①",
        "e\u0301 é \u200d\u200b",
        "\u0378\u0379 ☃☃ \U0010ffff",
    ),
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "ก็" * 20,
]
FEW: list[Piece] = [
    *((name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")),
    *(("▁", -3.0), ("a", -2.0), ("b", -2.5), ("ab", -4.0), ("ba", -4.5), ("▁a", -4.0)),
    *(("é", -9.0), ("abab", -8.0), ("bé", -11.5), ("虎", -7.0)),
]


@pytest.fixture(scope="session")
def whole(unpacked: Unpacked) -> Tokenizer:
    return tokenizer_of(unpacked.pieces)


@pytest.fixture(scope="session")
def vocabulary(unpacked: Unpacked, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("vocabulary") / "v.safetensors"
    Vocabulary.write(unpacked.pieces, path)
    return Vocabulary(path)


def cut(vocabulary: Vocabulary, texts: list[str]) -> list[list[int]]:
    tokenizer, numbers = vocabulary.tokenizer_for(texts)
    return [numbers[tokenizer.encode(text).ids].tolist() for text in texts]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_cut_as_by_all_pieces(
    vocabulary: Vocabulary, whole: Tokenizer, text: str
) -> None:
    assert cut(vocabulary, [text]) == [whole.encode(text).ids]


def test_pieces_put_together_at_random_are(
    vocabulary: Vocabulary, whole: Tokenizer, unpacked: Unpacked
) -> None:
    """What may be cut in many ways."""
    chance = random.Random(0)
    for _ in range(300):
        pieces = chance.choices(unpacked.pieces, k=chance.randint(1, 9))
        text = "".join(piece[: chance.randint(1, 16)] for piece, _ in pieces).replace("▁", " ")
        assert cut(vocabulary, [text]) == [whole.encode(text).ids], text


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("vocabulary") / "few.safetensors"
    Vocabulary.write(FEW, path)
    return Vocabulary(path)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.text("ab é虎☃", max_size=12), min_size=1, max_size=3))
def test_any_texts_are_by_a_few_pieces(small: Vocabulary, texts: list[str]) -> None:
    """Several together, ties and letters that no piece has among them."""
    of_all = tokenizer_of(FEW)
    assert cut(small, texts) == [of_all.encode(text).ids for text in texts]


def test_a_query_loads_no_whole_tokenizer_and_has_the_same_vector(multilingual: Encoder) -> None:
    fresh = load_encoder("mini-multilingual")
    alone = fresh.encode_texts(["猫", "a cat"], role="query")
    assert "_tokenizer" not in vars(fresh)
    many = fresh.encode_texts(["猫", "a cat", "word " * 200], role="query")
    assert "_tokenizer" in vars(fresh)
    assert alone.tobytes() == many[:2].tobytes()


def test_letters_that_stand_for_sentences_are_cut_where_the_model_stops(
    multilingual: Encoder,
) -> None:
    del multilingual  # which unpacks it
    fresh = load_encoder("mini-multilingual")
    (alone,) = fresh.encode_texts(["\ufdfa" * 480], role="query")
    assert "_tokenizer" not in vars(fresh)
    again, _ = fresh.encode_texts(["\ufdfa" * 480, "word " * 200], role="query")
    assert alone.tobytes() == again.tobytes()


@pytest.mark.parametrize("content", [b"", b"not one", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.safetensors"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="made anew"):
        Vocabulary(path)
