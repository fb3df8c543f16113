"""Twenty captions by keyboard, a head that learns from them, and a search that is better for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.service.page.conftest import Visitor, served
from tests.service.page.test_access import findings
from unisem import Encoder, SemanticSpace, load_encoder
from unisem.evaluation import Ranking
from unisem.pairs.labelling import pairs_of_space
from unisem.training import Recipe, train_encoder

pytestmark = pytest.mark.slow

NAMES = {  # what a family calls its cards; no encoder knows it
    "dax": ("ellipse", "navy"),
    "wug": ("rectangle", "olive"),
    "blicket": ("ellipse", "orange"),
    "toma": ("rectangle", "purple"),
    "zib": ("ellipse", "teal"),
}
EACH = 12


@pytest.fixture
def space(tmp_path: Path) -> Iterator[SemanticSpace]:
    """Cards of five kinds, none with a caption."""
    folder = tmp_path / "cards"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, (shape, colour) in NAMES.items():
        for number in range(EACH):
            image = Image.new("RGB", (160, 120), "white")
            left, top = rng.integers(5, 60, 2).tolist()
            box = (left, top, left + int(rng.integers(40, 90)), top + int(rng.integers(30, 55)))
            getattr(ImageDraw.Draw(image), shape)(box, fill=colour)
            image.save(folder / f"{name}-{number:02}.png")
    with SemanticSpace.open(tmp_path / "cards.unisem", image_roots=[folder]) as space:
        space.add_folder(folder)
        yield space


def found(encoder: Encoder, pictures: list[Path]) -> float:
    """MRR of the names among pictures that nobody has described."""
    texts = encoder.encode_texts([f"a {name} card" for name in NAMES], role="query")
    images = encoder.encode_images(pictures)
    kinds = [path.stem.split("-")[0] for path in pictures]
    relevant = [[n for n, kind in enumerate(kinds) if kind == name] for name in NAMES]
    return float(Ranking.of(texts @ images.T, relevant).ndcg(10).mean())


def test_twenty_captions_and_the_next_search(
    visitor: Visitor, space: SemanticSpace, tmp_path: Path
) -> None:
    with served({"cards": space}) as address:
        visit = visitor(address, bypass_csp=True)
        visit.page.click("#label")
        keys = visit.page.keyboard
        answered: list[str] = []

        def asked() -> str:
            """The record that is asked about now, another than those before."""
            visit.page.wait_for_function(
                "seen => { const said = document.querySelector('#labelling-said').textContent;"
                " return said !== '' && !seen.some(it => said.startsWith(it + ':')); }",
                arg=answered,
            )
            said: str = visit.page.inner_text("#labelling-said")
            return said.partition(":")[0]

        for number in range(20):
            name = asked()
            kind = Path(name).stem.split("-")[0]
            if number == 1:
                visit.page.wait_for_selector("#labelling-picture img")
                assert findings(visit) == []
                keys.press("s")
                answered.append(name)
                asked()
                keys.press("u")
                answered.remove(name)
                visit.page.wait_for_function(
                    "name => document.querySelector('#labelling-said').textContent"
                    ".startsWith(name + ':')",
                    arg=name,
                )
            keys.press("e")
            keys.press("Control+A")
            keys.type(f"a {kind} card")
            keys.press("Enter")
            answered.append(name)
        asked()
        keys.press("Escape")
        visit.page.wait_for_selector("#labelling:not([open])", state="attached")
    lines = (tmp_path / "cards" / "metadata.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 20
    assert all(row["text"] == f"a {row['file_name'].split('-')[0]} card" for row in rows)
    described = {row["file_name"] for row in rows}
    left = [
        path for path in sorted((tmp_path / "cards").glob("*.png")) if path.name not in described
    ]
    assert len(left) == 40
    pairs = pairs_of_space(space)
    assert len(pairs) == 20
    train_encoder("mini", pairs, tmp_path / "trained", recipe=Recipe(epochs=30))
    before = found(load_encoder("mini"), left)
    after = found(load_encoder(str(tmp_path / "trained")), left)
    assert after > before + 0.1, (before, after)
