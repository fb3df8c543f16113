"""Zero-shot tags: against the formula, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import noise, solid
from tests.support.toy import COLOURS, ToyEncoder
from unisem.captioners import TagCaptioner, load_captioner
from unisem.captioners.tags import VOCABULARY, read_vocabulary

TAGS = [*COLOURS, "tiger", "snow", "teapot", "harbour", "paper", "card", "boat", "moon"]
PICTURES = [solid(colour) for colour in COLOURS] + [noise(n) for n in range(5)]


def by_hand(template: str, most: int, threshold: float) -> list[str | None]:
    encoder = ToyEncoder()
    found: list[str | None] = []
    for picture in PICTURES:
        image = encoder.encode_images([picture])[0].astype(np.float64)
        cosines = [
            float(encoder.encode_texts([template.format(tag)])[0].astype(np.float64) @ image)
            for tag in TAGS
        ]
        scores = [(c - np.mean(cosines)) / np.std(cosines) for c in cosines]
        ranked = sorted(zip(scores, TAGS, strict=True), key=lambda pair: -pair[0])[:most]
        words = [tag for score, tag in ranked if score >= threshold]
        found.append(", ".join(words) or None)
    return found


@pytest.mark.parametrize(
    ("template", "most", "threshold"), [("{}", 1, 2.0), ("a {} card", 3, 0.5), ("{}", 5, 1.5)]
)
def test_tags_are_those_of_the_formula(template: str, most: int, threshold: float) -> None:
    captioner = TagCaptioner(ToyEncoder(), TAGS, template=template, most=most, threshold=threshold)
    expected = by_hand(template, most, threshold)
    assert captioner.caption(PICTURES) == expected
    assert len(set(map(str, expected))) > 2
    if (most, threshold) == (1, 2.0):
        assert expected[: len(COLOURS)] == list(COLOURS)


def test_what_is_refused(tmp_path: Path) -> None:
    encoder = ToyEncoder()
    for tags in (["a", "b"], ["a"] * 20):
        with pytest.raises(ValueError, match="8 different tags"):
            TagCaptioner(encoder, tags)
    with pytest.raises(TypeError, match="list of tags"):
        TagCaptioner(encoder, "cat")
    with pytest.raises(ValueError, match="template"):
        TagCaptioner(encoder, TAGS, template="a picture")
    with pytest.raises(ValueError, match="most"):
        TagCaptioner(encoder, TAGS, most=0)
    with pytest.raises(ValueError, match="threshold"):
        TagCaptioner(encoder, TAGS, threshold=float("nan"))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_vocabulary(tmp_path / "latin.txt")
    (tmp_path / "large.txt").write_bytes(b"a\n" * 1_000_000)
    with pytest.raises(ValueError, match="larger than the limit"):
        read_vocabulary(tmp_path / "large.txt")


def test_the_shipped_vocabulary() -> None:
    tags = read_vocabulary(VOCABULARY)
    assert len(tags) == len(set(tags)) == 370
    assert tags == [tag.strip().lower() for tag in tags]


def test_the_fingerprint_tells_what_may_write_otherwise() -> None:
    prints = {
        TagCaptioner(ToyEncoder(), TAGS).fingerprint,
        TagCaptioner(ToyEncoder(seed=1), TAGS).fingerprint,
        TagCaptioner(ToyEncoder(), TAGS[::-1]).fingerprint,
        TagCaptioner(ToyEncoder(), TAGS, most=2).fingerprint,
        TagCaptioner(ToyEncoder(), TAGS, threshold=2).fingerprint,
        load_captioner("tags", encoder=ToyEncoder()).fingerprint,
    }
    assert len(prints) == 6
    again = load_captioner("tags", encoder=ToyEncoder(), vocabulary=TAGS).fingerprint
    assert again == TagCaptioner(ToyEncoder(), TAGS).fingerprint
