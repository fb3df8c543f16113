"""Who is where: the joint encoder and the cross-modal Transformer on pictures of a few shapes.

    python -m benchmarks.scenes [--docs docs/measured] [--towers]

Both are trained on the same 4,864 seeded scenes (`benchmarks.scenes_data`): two objects ("a red
circle to the left of a green square"), counts ("three blue stars"), three objects in a row, and of
each scene those that its swapped captions describe. They stand on `mini`'s frozen towers. The joint
encoder's heads are trained by `train_encoder` with InfoNCE, the Transformer by `train_reranker`,
with InfoNCE in groups of eight: a scene and its swaps are compared, pictures for a text and texts
for a picture alike. Measured are 800 other scenes, again each with its swaps, so that in every set
only who is where tells four pictures apart; those of them whose caption no training scene has
(*new captions*); and of 400 scenes of two objects with swaps those with a combination of colour,
shape and relation of which no training scene has one (*new combinations*).

**Binding** is the share of scenes whose own caption is above all three of its swapped ones: other
colours, sides or counts for the same things. **hit@1** is asked with each scene's caption among all
pictures of its set, by the joint encoder and then with its first 50 hits reranked; relevant is
every picture that the caption is true of. **Captions** are right if they are, word for word, a
caption that is true of the scene ("A above B" and "B below A" both are). Intervals are of 95 %, by
bootstrap over scenes, paired for changes; one seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from benchmarks.scenes_data import (
    Scene,
    as_dataset,
    held_out_combinations,
    scenes,
    scenes_of_held_out,
    with_swaps,
)
from benchmarks.scenes_towers import save_scene_towers
from unisem import load_encoder
from unisem.captioners.decoding import decoded
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder
from unisem.evaluation.ranking import Ranking, bootstrap_interval
from unisem.pairs import PairDataset
from unisem.rerank.cross_modal import CrossModalReranker, PatchFeatures
from unisem.training import Recipe, train_encoder
from unisem.training.cross_modal import CrossModalRecipe, train_reranker
from unisem.training.cross_modal.inputs import prepare_inputs
from unisem.training.cross_modal.run import encoded_pairs

JOINT, CROSS = "joint encoder, InfoNCE", "cross-modal Transformer"
ATTENTION = "the article's form: one attention over both"
TOWERS = "joint encoder, BERT and ViT from scratch"
ATTENTION_TOWERS = "the article's form on these"
DEPTH = 50
REMARKS = "## Towers that knew nothing"

CROSS_RECIPE = CrossModalRecipe(hard_negatives=0, length=20, precision="bfloat16")
ATTENTION_RECIPE = replace(CROSS_RECIPE, fusion="attention", words="tower", captioning=0)

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """Scenes to measure on."""

    name: str
    made: tuple[Scene, ...]
    dataset: PairDataset
    views: dict[str, NDArray[np.bool_]]
    """``(n,)`` each: which scenes ask, by the name of a line of the table."""

    @property
    def relevant(self) -> list[list[int]]:
        """For each scene the scenes that its own caption is true of."""
        return [
            [n for n, other in enumerate(self.made) if scene.true[0] in other.true]
            for scene in self.made
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What one model says of a part.

    Attributes:
        bound: ``(n,)`` 1 where the true caption is above all swapped ones.
        scores: ``(n, n)`` of captions and pictures, as they are ranked.
        hit: ``(n,)`` 1 where the first picture is relevant.
        captions: What was written; nothing by a model that does not write.
    """

    bound: Shares
    scores: NDArray[np.float32]
    hit: Shares
    captions: tuple[str, ...] = ()

    def right(self, part: Part) -> Shares:
        """``(n,)`` 1 where the written caption is true of the scene."""
        pairs = zip(self.captions, part.made, strict=True)
        return np.array([text in scene.true for text, scene in pairs], np.float64)


def main() -> None:
    """Train, measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=4864)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/scenes"))
    parser.add_argument("--docs", type=Path, help="write scenes.md and its picture there")
    parser.add_argument("--towers", action="store_true", help="BERT and ViT from scratch, too")
    options = parser.parse_args()
    work, held = options.work, held_out_combinations()
    unseen = tuple(islice(with_swaps(scenes(1, held), 1, held), 800))
    combined = tuple(islice(with_swaps(scenes_of_held_out(2, held), 2), 400))
    made = tuple(islice(with_swaps(scenes(0, held), 0, held), options.scenes))
    said = {caption for scene in made for caption in scene.true}
    parts = [
        Part("unseen", unseen, as_dataset(unseen, work / "unseen"), {
            "unseen scenes": np.ones(len(unseen), bool),
            "… new captions": np.array([not said & {*scene.true} for scene in unseen]),
        }),
        Part("combined", combined, as_dataset(combined, work / "held-out"), {
            "new combinations": np.array([bool(scene.combinations & held) for scene in combined]),
        }),
    ]  # fmt: skip
    runs = Runs(made, parts, work, options.seed)
    found = runs.on_towers("mini")
    if options.towers:
        found |= runs.from_scratch()
    lines = [*table(found, parts), "", *by_kind(found, parts[0]), "", *costs(runs)]
    Console(width=200).print("\n".join(lines), markup=False)
    if options.docs is not None:
        write_page(options.docs, lines, parts[0], found[CROSS][0])


class Runs:
    """Trains models, unless that was done before, and judges the parts."""

    def __init__(
        self,
        made: Sequence[Scene],
        parts: Sequence[Part],
        work: Path,
        seed: int,
        folder: str = "train",
    ) -> None:
        self.wrong: Sequence[Sequence[str]] | None = [scene.wrong for scene in made]
        self.train = as_dataset(made, work / folder)
        self.parts, self.work, self.seed = parts, work, seed
        self.features = work / "features"
        self.trained: list[str] = []

    def on_towers(self, start: str) -> dict[str, list[Judged]]:
        """The joint encoder, the Transformer and the article's form on frozen towers."""
        joint = str(self.encoder("joint", start, Recipe(seed=self.seed, interpolation=1.0)))
        base = [self.judged_jointly(joint, part) for part in self.parts]
        return {
            JOINT: base,
            CROSS: self.reranked("cross-modal", start, CROSS_RECIPE, base),
            ATTENTION: self.reranked("attention", start, ATTENTION_RECIPE, base),
        }

    def from_scratch(self) -> dict[str, list[Judged]]:
        """A BERT and a ViT that knew nothing, and the article's form on them."""
        start = str(save_scene_towers(self.work / "towers-start"))
        recipe = Recipe(seed=self.seed, freeze=(), epochs=6, learning_rate=1e-3, interpolation=1.0)
        towers = str(self.encoder("towers", start, recipe))
        base = [self.judged_jointly(towers, part) for part in self.parts]
        form = self.reranked("attention-towers", towers, ATTENTION_RECIPE, base)
        return {TOWERS: base, ATTENTION_TOWERS: form}

    def encoder(self, name: str, start: str, recipe: Recipe) -> Path:
        """Train an encoder on the scenes."""
        self.trained.append(name)
        output = self.work / f"{name}-{self.seed}"
        timed(output, lambda: train_encoder(
            start, self.train, output, recipe=recipe, features=self.features
        ))  # fmt: skip
        return output

    def reranked(
        self, name: str, start: str, recipe: CrossModalRecipe, base: list[Judged]
    ) -> list[Judged]:
        """Train a reranker on the scenes, and let it judge every part."""
        self.trained.append(name)
        output = self.work / f"{name}-{self.seed}"
        timed(output, lambda: train_reranker(
            start, self.train, output, wrong_captions=self.wrong,
            recipe=replace(recipe, seed=self.seed), features=self.features,
        ))  # fmt: skip
        model = CrossModalReranker(name, output, encoder=load_encoder(start))
        return [
            self._judged(model, part, joint) for part, joint in zip(self.parts, base, strict=True)
        ]

    def judged_jointly(self, name: str, part: Part) -> Judged:
        """What an encoder says of a part."""
        encoder = load_encoder(name, runtime="torch")
        assert isinstance(encoder, SentenceTransformerEncoder)
        texts, images = encoded_pairs(encoder, part.dataset, self.features)
        wrong = [
            (encoder.encode_texts([scene.wrong[n] for scene in part.made], "query") * images).sum(1)
            for n in range(3)
        ]
        bound = (texts * images).sum(1) > np.max(wrong, axis=0)
        scores = texts @ images.T
        return Judged(bound.astype(np.float64), scores, hits(scores, part))

    def _judged(self, model: CrossModalReranker, part: Part, base: Judged) -> Judged:
        network, tokenizer = model.files.network, model.files.tokenizer
        patches = PatchFeatures(model.encoder, side=network.settings.side)
        inputs = prepare_inputs(part.dataset, None, patches, None, tokenizer, 20, self.features)
        with torch.inference_mode():
            tokens = network.tokens(inputs.features(inputs.image_of)).half().numpy()
        bound = []
        scores = base.scores.copy()
        for n, scene in enumerate(part.made):
            own, *wrong = (
                float(model.score_tokens(text, tokens[n : n + 1])[0])
                for text in (scene.true[0], *scene.wrong)
            )
            bound.append(own > max(wrong))
            first = np.argsort(-scores[n], kind="stable")[:DEPTH]
            judged = model.score_tokens(scene.true[0], tokens[first])
            scores[n, first] = 2 + np.argsort(np.argsort(judged, kind="stable"), kind="stable")
        captions: tuple[str, ...] = ()
        if network.settings.caption_layers:
            with torch.inference_mode():
                ids = decoded(network, torch.from_numpy(tokens).float(), beams=1, most=20)
            captions = tuple(tokenizer.words(row) for row in ids)
        return Judged(np.array(bound, np.float64), scores, hits(scores, part), captions)


def timed(output: Path, action: Callable[[], object]) -> None:
    """Run what makes a directory, unless it is there; keep what it cost beside it."""
    if output.is_dir():
        return
    clock, processor = time.perf_counter(), time.process_time()
    action()
    cost = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
    output.with_name(f"{output.name}.json").write_text(json.dumps(cost))


def hits(scores: NDArray[np.float32], part: Part) -> Shares:
    """hit@1 of each caption."""
    return Ranking.of(scores, part.relevant).hit(1)


def table(found: dict[str, list[Judged]], parts: Sequence[Part]) -> list[str]:
    """Binding, hit@1 and captions, by the scenes that ask and by model."""
    lines = [
        "| scenes | number | model | binding | hit@1 | change by reranking | captions right |",
        "|---|---|---|---|---|---|---|",
    ]
    for n, part in enumerate(parts):
        for name, asked in part.views.items():
            base = found[JOINT][n].hit[asked]
            for label, results in found.items():
                one, change = results[n], ""
                hit = one.hit[asked]
                if label in (JOINT, TOWERS):
                    base = hit
                else:
                    low, high = bootstrap_interval(hit - base, rounds=2000)
                    change = f"{(hit - base).mean():+.3f} ({low:+.3f} to {high:+.3f})"
                right = share(one.right(part)[asked]) if one.captions else ""
                shares = [share(one.bound[asked]), share(hit), change, right]
                lines.append(f"| {name} | {asked.sum()} | {label} | {' | '.join(shares)} |")
    return lines


def by_kind(found: dict[str, list[Judged]], part: Part) -> list[str]:
    """Binding and captions by kind of scene."""
    kinds = np.array([scene.kind for scene in part.made])
    right = found[CROSS][0].right(part)
    lines = [
        f"| unseen scenes, binding | number | {' | '.join(found)} | captions right |",
        "|---|---|" + "---|" * (len(found) + 1),
    ]
    for kind in dict.fromkeys(kinds.tolist()):
        chosen = kinds == kind
        shares = [f"{results[0].bound[chosen].mean():.3f}" for results in found.values()]
        shares.append(f"{right[chosen].mean():.3f}")
        lines.append(f"| {kind} | {chosen.sum()} | {' | '.join(shares)} |")
    return lines


def costs(runs: Runs) -> list[str]:
    """What training cost."""
    lines = ["| training | clock | processor |", "|---|---|---|"]
    for name in runs.trained:
        path = runs.work / f"{name}-{runs.seed}.json"
        cost = json.loads(path.read_text(encoding="utf-8"))
        lines.append(f"| {name} | {cost['clock']:.0f} s | {cost['processor']:.0f} s |")
    return lines


def share(values: Shares) -> str:
    """A mean with its interval."""
    low, high = bootstrap_interval(values, rounds=2000)
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def write_page(docs: Path, lines: Sequence[str], part: Part, cross: Judged) -> None:
    """The tables, and a sheet of scenes with what was written of them."""
    sheet, side = Image.new("RGB", (4 * 132, 2 * 132), "#888888"), (128, 128)
    right, said = cross.right(part), []
    for n in range(8):
        picture = part.made[n].draw().resize(side, Image.Resampling.LANCZOS)
        sheet.paste(picture, (n % 4 * 132 + 2, n // 4 * 132 + 2))
        truth = "" if right[n] else f" (it is {part.made[n].true[0]})"
        said.append(f"{n + 1}. {cross.captions[n]}{truth}")
    sheet.save(docs / "scenes.png", optimize=True)
    text = [
        "# Scenes of shapes, measured",
        __doc__.split("\n\n", 2)[2].strip(),
        "`python -m benchmarks.scenes --docs docs/measured` writes these tables.",
        "\n".join(lines),
        "The first eight unseen scenes, and what the Transformer writes of them:",
        "![eight scenes](scenes.png)",
        "\n".join(said),
    ]
    page = docs / "scenes.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    _, heading, remarks = old.partition(REMARKS)  # written by hand
    page.write_text("\n\n".join(text) + f"\n\n{heading}{remarks}", encoding="utf-8")


if __name__ == "__main__":
    main()
