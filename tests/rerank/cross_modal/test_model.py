"""The network against what its docstring says of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unisem.rerank.cross_modal import CrossModalSettings, CrossModalTransformer


def network(**changes: Any) -> CrossModalTransformer:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "feature_width": 6,
        "side": 3,
        "words": 20,
        "width": 16,
        "heads": 4,
        "layers": 2,
        "caption_layers": 2,
        "picture_tokens": 9,
        "token_width": 8,
        "length": 10,
    }
    made = CrossModalTransformer(CrossModalSettings(**sizes | changes)).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.requires_grad_(False)


def test_cached_writing_is_writing_anew() -> None:
    made = network()
    tokens = made.tokens(torch.randn(3, 9, 6))
    words = torch.randint(0, 20, (3, 7))
    whole = made.caption_logits(words, tokens)  # (3, 7, 20)
    written = made.begin(tokens)
    for place in range(7):
        logits, written = made.step(words[:, place], written)
        torch.testing.assert_close(logits, whole[:, place])
    rows = torch.tensor([2, 0, 2])
    kept, _ = made.step(words[rows, 0], written.select(rows))
    again, _ = made.step(words[:, 0], written)
    torch.testing.assert_close(kept[1], again[0])


def test_a_word_is_predicted_from_those_before_it_alone() -> None:
    made = network()
    tokens = made.tokens(torch.randn(1, 9, 6))
    words = torch.randint(0, 20, (1, 7))
    changed = words.clone()
    changed[0, 4] = (changed[0, 4] + 1) % 20
    one, other = made.caption_logits(words, tokens), made.caption_logits(changed, tokens)
    torch.testing.assert_close(one[:, :4], other[:, :4])
    assert not torch.allclose(one[:, 4:], other[:, 4:])


@pytest.mark.parametrize("fusion", ["transformer", "attention", "cosine"])
@pytest.mark.parametrize("text_width", [None, 5])
def test_many_texts_of_a_picture_are_judged_as_each_alone(
    fusion: Any, text_width: int | None
) -> None:
    made = network(fusion=fusion, text_width=text_width)
    tokens = made.tokens(torch.randn(2, 9, 6))
    present = torch.arange(5) < torch.tensor([[5, 3, 1], [4, 2, 5]])[..., None]  # (2, 3, 5)
    words = torch.randint(0, 20, (2, 3, 5)) if text_width is None else torch.randn(2, 3, 5, 5)
    together = made.match(words, present, tokens)  # (2, 3)
    for picture in range(2):
        for text in range(3):
            length = int(present[picture, text].sum())  # alone it has no padding either
            alone = made.match(
                words[picture, text, :length][None, None],
                torch.ones(1, 1, length, dtype=torch.bool),
                tokens[picture][None],
            )
            torch.testing.assert_close(alone[0, 0], together[picture, text])
    of_all = made.match(words[:1], present[:1], tokens)
    torch.testing.assert_close(of_all[0], together[0])
    torch.testing.assert_close(of_all[1:], made.match(words[:1], present[:1], tokens[1:]))


def test_the_last_layer_computes_the_verdict_alone() -> None:
    made = network()
    pictures = made.read(made.tokens(torch.randn(2, 9, 6)))
    x, block = torch.randn(2, 3, 5, 16), made.blocks[-1]
    mask = (torch.arange(5) < torch.tensor([5, 3, 1, 4, 2, 5])[:, None])[:, None, None]
    whole, _ = block(x, block.seen(pictures), mask)
    first, _ = block(x, block.seen(pictures), mask, wanted=1)
    assert first.shape == (2, 3, 1, 16)
    torch.testing.assert_close(first, whole[:, :, :1])


def test_the_attention_is_the_formula() -> None:
    """Softmax of scaled products, written out with loops, for the article's own form."""
    made = network(fusion="attention", heads=1)
    tokens = made.tokens(torch.randn(1, 9, 6))
    words = torch.tensor([[[3, 4]]])
    found = made.match(words, torch.ones(1, 1, 2, dtype=torch.bool), tokens)
    first = made.word_vectors(words)[0, 0, 0]
    pictures = made.read(tokens)[0]
    q, k, v = (
        each @ weight.T + bias
        for each, weight, bias in zip(
            (first, pictures, pictures),
            made.attention.in_proj_weight.chunk(3),
            made.attention.in_proj_bias.chunk(3),
            strict=True,
        )
    )
    weights = torch.exp(torch.stack([q @ key for key in k]) / 4)  # a width of 16
    seen = sum(w * value for w, value in zip(weights / weights.sum(), v, strict=True))
    seen = made.attention.out_proj(seen)
    torch.testing.assert_close(made.verdict_head(torch.cat([first, seen]))[0], found[0, 0])


def test_the_cosine_is_the_formula() -> None:
    """A mean without what is padding, attention, and a cosine, one after the other."""
    made = network(fusion="cosine", text_width=5)
    tokens = made.tokens(torch.randn(1, 9, 6))
    words, present = torch.randn(1, 1, 3, 5), torch.tensor([[[True, True, False]]])
    said = made.word_vectors((words[0, 0, 0] + words[0, 0, 1]) / 2)
    pictures = made.read(tokens)
    seen, _ = made.attention(said[None, None], pictures, pictures)
    scale = made.state_dict()["verdict_head.log_scale"].exp()
    expected = scale * (said @ seen[0, 0]) / said.norm() / seen.norm()
    torch.testing.assert_close(made.match(words, present, tokens)[0, 0], expected)


def test_places_of_the_picture_matter_and_are_gathered_to_fewer_tokens() -> None:
    features = torch.randn(1, 9, 6)
    for tokens in (9, 4):
        made = network(picture_tokens=tokens)
        straight, turned = made.tokens(features), made.tokens(features.flip(1))
        assert straight.shape == (1, tokens, 8)
        assert not torch.allclose(straight, turned, atol=1e-3)
        assert not torch.allclose(straight.flip(1), turned, atol=1e-3)
    assert CrossModalSettings(feature_width=432, words=9).bytes_per_picture == 12_544


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": 3},
        {"picture_tokens": 10},
        {"layers": 0},
        {"fusion": "hope"},
        {"dropout": 1},
        {"side": 1000},
        {"width": 16.0},
        {"words": True},
    ],
)
def test_sizes_that_do_not_go_together_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        network(**wrong)
