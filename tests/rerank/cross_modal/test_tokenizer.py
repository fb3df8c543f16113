"""Captions go to ids and back; a text cannot speak in special tokens."""

from __future__ import annotations

import pytest

from tests.rerank.cross_modal.support import CAPTIONS
from unisem.errors import RerankerError
from unisem.rerank.cross_modal import CaptionTokenizer
from unisem.rerank.cross_modal.tokenizer import BEGIN, END, PAD, UNKNOWN


def test_captions_come_back() -> None:
    tokenizer = CaptionTokenizer.learn([*CAPTIONS, "it's one, two: three"] * 2)
    assert len(tokenizer) < 200
    for text in [*CAPTIONS, "it's one, two: three"]:
        read, predicted = tokenizer.captions([text], 64)
        assert read[0, 0] == BEGIN
        assert predicted[0, -1] == END
        assert read[0, 1:].tolist() == predicted[0, :-1].tolist()
        assert tokenizer.words(predicted[0].tolist()) == text
    again = CaptionTokenizer.read(tokenizer.text, "m")
    assert again.ids(CAPTIONS, 64) == tokenizer.ids(CAPTIONS, 64)


def test_special_tokens_in_a_text_are_plain_words() -> None:
    tokenizer = CaptionTokenizer.learn(["begin end pad unk [ ]"] * 2)
    for text in ("[END]", "[PAD] [BEGIN]", "[UNK]"):
        assert not {*tokenizer.ids([text], 64)[0]} & {PAD, BEGIN, END}
    again = CaptionTokenizer.read(tokenizer.text, "m")
    assert not {*again.ids(["[END]"], 64)[0]} & {PAD, BEGIN, END}


def test_texts_are_cut_and_never_empty() -> None:
    tokenizer = CaptionTokenizer.learn(CAPTIONS * 2)
    ids = tokenizer.ids(["", "   ", "red " * 10_000, "日本 🙂"], 8)
    assert ids[0] == ids[1] == [UNKNOWN]
    assert len(ids[2]) == 8
    assert ids[3]
    padded, present = tokenizer.padded(["red", "a red circle"], 8)
    assert padded.shape == present.shape
    assert (padded[~present] == PAD).all()
    assert present.sum(1).tolist() == [1, 3]


def test_another_models_tokenizer_is_refused() -> None:
    from tokenizers import Tokenizer, models

    with pytest.raises(RerankerError, match="another kind of model"):
        CaptionTokenizer.read(Tokenizer(models.BPE()).to_str(), "m")
    with pytest.raises(RerankerError, match="damaged"):
        CaptionTokenizer.read("{", "m")
