"""The captioning head: against decoding without a cache, and against trying every caption."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from tests.rerank.cross_modal.support import picture, save_random
from tests.support.checkpoints import save_two_towers
from unisem.captioners import CrossModalCaptioner, load_captioner
from unisem.captioners.decoding import decoded
from unisem.encoders import Encoder, load_encoder
from unisem.errors import CaptionerError
from unisem.rerank.cross_modal import (
    CrossModalReranker,
    CrossModalSettings,
    CrossModalTransformer,
)
from unisem.rerank.cross_modal.tokenizer import BEGIN, END, PAD, UNKNOWN

NEVER = [PAD, UNKNOWN, BEGIN]


def network(words: int, length: int) -> CrossModalTransformer:
    settings = CrossModalSettings(
        feature_width=4, side=2, picture_tokens=4, words=words, width=8, heads=2, layers=1,
        caption_layers=2, token_width=6, length=length,
    )  # fmt: skip
    torch.manual_seed(3)
    made = CrossModalTransformer(settings).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made.requires_grad_(False)


def mean_score(model: CrossModalTransformer, tokens: torch.Tensor, text: list[int]) -> float:
    """The mean logarithm of a caption's words, all computed at once."""
    logits = model.caption_logits(torch.tensor([[BEGIN, *text[:-1]]]), tokens[None])[0]
    logits[:, NEVER] = -torch.inf
    likely = logits.log_softmax(-1)
    return float(sum(likely[n, word] for n, word in enumerate(text)) / len(text))


def test_greedy_takes_the_likeliest_word_each_time() -> None:
    model = network(30, 12)
    tokens = torch.randn(6, 4, 6)
    found = decoded(model, tokens, beams=1, most=12)
    for row, text in zip(tokens, found, strict=True):
        expected: list[int] = []
        while len(expected) < 12:
            logits = model.caption_logits(torch.tensor([[BEGIN, *expected]]), row[None])[0, -1]
            logits[NEVER] = -torch.inf
            if (word := int(logits.argmax())) == END:
                break
            expected.append(word)
        assert text == expected
    assert len(set(map(tuple, found))) > 1


def test_with_room_for_all_beams_find_the_best_caption() -> None:
    model = network(7, 3)  # of seven ids four can be written
    tokens = torch.randn(5, 4, 6)
    plain = [word for word in range(7) if word not in (*NEVER, END)]
    every = [[*body, END] for n in range(3) for body in itertools.product(plain, repeat=n)] + [
        list(body) for body in itertools.product(plain, repeat=3)
    ]
    found = decoded(model, tokens, beams=100, most=3)
    for row, text in zip(tokens, found, strict=True):
        best = max(every, key=lambda caption: mean_score(model, row, caption))
        assert text == [word for word in best if word != END]
    assert found != decoded(model, tokens, beams=1, most=3), "greedy misses some"


def test_pictures_do_not_depend_on_their_neighbours() -> None:
    model = network(30, 12)
    tokens = torch.randn(4, 4, 6)
    for beams in (1, 3):
        alone = [decoded(model, row[None], beams=beams, most=12)[0] for row in tokens]
        assert decoded(model, tokens, beams=beams, most=12) == alone


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_two_towers(tmp_path_factory.mktemp("towers"))))


def test_a_directory_is_a_captioner(tmp_path: Path, encoder: Encoder) -> None:
    directory = save_random(tmp_path / "model", encoder, side=4, picture_tokens=16)
    pictures = [picture(colour, 5 * n) for n, colour in enumerate(("red", "green", "blue"))]
    captioner = load_captioner(directory, encoder=encoder)
    assert isinstance(captioner, CrossModalCaptioner)
    found = captioner.caption(pictures)
    files = CrossModalReranker("m", directory, encoder=encoder)
    tokens = torch.from_numpy(files.tokens_of(pictures)).float()
    ids = decoded(files.files.network, tokens, beams=1, most=40)
    assert found == [files.files.tokenizer.words(row) or None for row in ids]
    assert any(found)
    others = [
        load_captioner(directory, encoder=encoder, beams=2),
        load_captioner(directory, encoder=encoder, max_tokens=5),
    ]
    assert len({captioner.fingerprint, *(other.fingerprint for other in others)}) == 3


def test_the_encoder_that_is_named_is_found(tmp_path: Path, encoder: Encoder) -> None:
    """A space of another encoder is captioned through the one that the model was trained with."""
    directory = save_random(tmp_path / "model", load_encoder("mini"))
    captioner = load_captioner(directory, encoder=encoder)
    (text,) = captioner.caption([picture("red")])
    assert text == load_captioner(directory).caption([picture("red")])[0]


def test_what_cannot_write_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    silent = save_random(tmp_path / "silent", encoder, side=4, picture_tokens=16, caption_layers=0)
    with pytest.raises(CaptionerError, match="without a captioning head"):
        load_captioner(silent, encoder=encoder).caption([picture("red")])
    whole = save_random(tmp_path / "model", encoder, side=4, picture_tokens=16)
    with pytest.raises(CaptionerError, match="trained with the encoder"):
        load_captioner(whole).caption([picture("red")])
    with pytest.raises(ValueError, match="has no prompt"):
        load_captioner(whole, encoder=encoder, prompt="a")
    (whole / "model.safetensors").write_bytes(b"")
    with pytest.raises(CaptionerError, match="is not whole"):
        load_captioner(whole, encoder=encoder).caption([picture("red")])
    with pytest.raises(ValueError, match="beams must be"):
        load_captioner(whole, encoder=encoder, beams=0)
