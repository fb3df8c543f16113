"""A vector for every word and place as second stage, beside one vector, on scenes of shapes.

    python -m benchmarks.late_interaction [--docs docs/measured]

Two models stand on `mini`'s frozen towers, with the same heads (a linear layer, GELU and another
one for each side, 128 and 64 numbers), and are trained on the same seeded scenes
(`benchmarks.scenes_data`, each beside those that its swapped captions describe) in the same
batches, by InfoNCE in both directions. They differ in one thing: **one vector** takes the mean
over a text's tokens, or a picture's 49 places, before vectors are compared; **many vectors**
compares all by MaxSim. Measured are other scenes, again each with its swaps: every scene's
caption is asked among all of them by one vector; then the first 50 are ordered anew by many
vectors, whole, in eight bits, and pooled; or by both scores, each less its mean and by its
standard deviation among the 50. Relevant is every picture that the caption is true of.
Changes are paired with one vector of the same seed; intervals are of 95 %, by bootstrap over
scenes, each with its swaps.

The models of the first seed are saved, loaded again by `load_encoder` and `load_reranker`, and
asked through a space that keeps the token vectors; what that finds must be what is computed here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.scenes_data import Scene, as_dataset, held_out_combinations, scenes, with_swaps
from unisem import Record, SemanticSpace
from unisem.encoders.mini import MODEL_DIRECTORY
from unisem.evaluation.ranking import Ranking, bootstrap_interval
from unisem.rerank import load_reranker
from unisem.rerank.int8_vectors import Int8Form
from unisem.rerank.max_sim import max_sim
from unisem.rerank.token_store import TokenStore

Numbers = NDArray[np.float32]
Features = dict[str, tuple[Tensor, Tensor]]
"""Of each modality ``(n, t, w)`` tower outputs, and ``(n, t)`` which of them are tokens."""

SIDES = ("text", "image")
HIDDEN, WIDTH, DEPTH, BATCH = 128, 64, 50, 64
BOTH = "eight bits and one vector, half and half"
FORMS = {"whole": None, "eight bits": 1, "eight bits, pooled by 2": 2, "… by 3": 3, "… by 6": 6}


def main() -> None:
    """Train, measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--asked", type=int, default=400)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("build/late_interaction"))
    parser.add_argument("--docs", type=Path, help="write late_interaction.md there")
    options = parser.parse_args()
    held = held_out_combinations()
    towers = {side: tower(side) for side in SIDES}
    made = [
        tuple(islice(with_swaps(scenes(seed, held), seed, held), count))
        for seed, count in ((0, options.scenes), (1, options.asked))
    ]
    options.work.mkdir(parents=True, exist_ok=True)
    train, asked = (
        features(towers, part, options.work / f"{name}-{len(part)}")
        for name, part in zip(("train", "asked"), made, strict=True)
    )
    runs = []
    for seed in options.seeds:
        one, many = (Heads(train, pooled, seed) for pooled in (True, False))
        costs = [fitted(it, train, made[0], options, seed) for it in (one, many)]
        runs.append(judged(one, many, asked, made[1], costs))
        if seed == options.seeds[0]:
            through = through_a_space(one, many, towers, made[1], options.work, runs[0])
    lines = [*quality(runs, options, made[1]), "", *agreement(runs), "", through, "", *compared()]
    Console(width=200).print("\n".join(lines), markup=False)
    if options.docs is not None:
        write_page(options.docs, lines)


def tower(side: str) -> Any:
    """One of `mini`'s towers, as a module that gives a vector for every token or place."""
    return Transformer(
        str(MODEL_DIRECTORY / f"{side}_0_Transformer"),
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        modality_config={side: {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
    ).eval()


@torch.inference_mode()
def features(towers: dict[str, Any], made: Sequence[Scene], folder: Path) -> Features:
    """What the towers say of scenes and captions; made once."""
    stored = folder.with_suffix(".pt")
    if stored.is_file():
        kept: Features = torch.load(stored, weights_only=True)
        return kept
    dataset = as_dataset(made, folder)
    captions = [scene.true[0] for scene in made]
    inputs = towers["text"].preprocess([{"text": text} for text in captions])
    texts = towers["text"](inputs)["token_embeddings"]
    images = []
    for start in range(0, len(made), 4):
        pictures = [pair.image.open() for pair in dataset.pairs[start : start + 4]]
        inputs_there = towers["image"].preprocess([{"image": picture} for picture in pictures])
        images.append(towers["image"](inputs_there)["token_embeddings"].half())
    places = torch.cat(images)
    found: Features = {
        "text": (texts, inputs["attention_mask"].bool()),
        "image": (places, torch.ones(places.shape[:2], dtype=torch.bool)),
    }
    torch.save(found, stored)
    return found


class Heads(nn.Module):
    """Two linear layers for each side over the towers, and one vector or many."""

    def __init__(self, train: Features, pooled: bool, seed: int) -> None:
        super().__init__()
        self.pooled = pooled
        torch.manual_seed(seed)
        token = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
        self.sides = nn.ModuleDict(
            {
                side: nn.Sequential(
                    Dense(train[side][0].shape[-1], HIDDEN, activation_function=nn.GELU(), **token),
                    Dense(HIDDEN, WIDTH, activation_function=nn.Identity(), **token),
                )
                for side in SIDES
            }
        )
        self.scale = nn.Parameter(torch.tensor(20.0).log())

    def forward(self, side: str, vectors: Tensor, mask: Tensor) -> Tensor:
        """``(n, t, w)`` unit vectors of tokens, 0 where there is none; ``(n, w)`` if pooled."""
        made: Tensor = self.sides[side]({"token_embeddings": vectors.float()})["token_embeddings"]
        there = mask[..., None].float()
        if self.pooled:
            return functional.normalize((made * there).sum(1) / there.sum(1), dim=-1)
        return functional.normalize(made, dim=-1) * there

    def scores(self, texts: Tensor, images: Tensor, mask: Tensor) -> Tensor:
        """``(n, m)`` cosines, or the means over tokens of MaxSim."""
        if self.pooled:
            return texts @ images.T
        products = torch.einsum("ntw,mpw->nmtp", texts, images).amax(-1)  # (n, m, t)
        return products.sum(-1) / mask.sum(1)[:, None]


def fitted(
    heads: Heads,
    train: Features,
    made: Sequence[Scene],
    options: argparse.Namespace,
    seed: int,
) -> float:
    """Train, unless that was done before; how many seconds of a processor it took."""
    steps = options.steps
    name = f"{'one' if heads.pooled else 'many'}-{len(made)}-{steps}-{seed}.pt"
    stored = options.work / name
    if stored.is_file():
        weights, cost = torch.load(stored, weights_only=True)
        heads.load_state_dict(weights)
        return float(cost)
    begun = time.process_time()
    true = [frozenset(scene.true) for scene in made]
    optimizer = torch.optim.AdamW(heads.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _, places in zip(range(steps), batches(len(made), seed), strict=False):
        (texts, words), (images, seen) = ((each[places] for each in train[side]) for side in SIDES)
        scores = heads.scores(heads("text", texts, words), heads("image", images, seen), words)
        also = torch.tensor([[bool(true[a] & true[b]) for b in places] for a in places])
        also.fill_diagonal_(False)  # a caption that is true of another picture, too
        logits = (scores * heads.scale.exp()).masked_fill(also, -torch.inf)
        wanted = torch.arange(len(places))
        loss = functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.T, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    cost = time.process_time() - begun
    torch.save((heads.state_dict(), cost), stored)
    return cost


def batches(count: int, seed: int) -> Iterator[list[int]]:
    """Places of scenes without end, four in a row at once."""
    rng = np.random.default_rng(seed)
    while True:
        groups = rng.permutation(count // 4)
        for start in range(0, len(groups) - BATCH // 4 + 1, BATCH // 4):
            chosen = groups[start : start + BATCH // 4]
            yield [int(4 * group + n) for group in chosen for n in range(4)]


class Judged:
    """What one seed's models say of the scenes that are asked for."""

    def __init__(self, first: Numbers, costs: Sequence[float]) -> None:
        self.first = first
        self.costs = costs
        self.rankings: dict[str, Ranking] = {}
        self.reranked: dict[str, Numbers] = {}
        self.bytes: dict[str, float] = {}


@torch.inference_mode()
def judged(
    one: Heads, many: Heads, asked: Features, made: Sequence[Scene], costs: Sequence[float]
) -> Judged:
    """Rank all scenes by one vector, then the first of them by many in each form."""
    relevant = [
        [n for n, other in enumerate(made) if scene.true[0] in other.true] for scene in made
    ]
    texts, images = (one(side, *asked[side]) for side in SIDES)
    first = (texts @ images.T).numpy()
    found = Judged(first, costs)
    found.rankings["one vector"] = Ranking.of(first, relevant)
    queries = [
        vectors[mask].numpy()
        for vectors, mask in zip(many("text", *asked["text"]), asked["text"][1], strict=True)
    ]
    pictures = list(many("image", *asked["image"]).numpy())
    found.bytes["one vector"] = 4.0 * WIDTH
    for name, factor in FORMS.items():
        kept = pictures if factor is None else [Int8Form(factor).formed(it) for it in pictures]
        sizes = [
            it.nbytes if factor is None else len(Int8Form(factor).packed(it)) for it in pictures
        ]
        scores = first.copy()
        for n, query in enumerate(queries):
            places = np.argsort(-first[n], kind="stable")[:DEPTH]
            scores[n, places] = 10 + max_sim(query, [[kept[place]] for place in places])
        found.reranked[name] = scores
        found.rankings[name] = Ranking.of(scores, relevant)
        found.bytes[name] = float(np.mean(sizes))
    both = first.copy()
    for n, scores in enumerate(found.reranked["eight bits"]):
        places = np.argsort(-first[n], kind="stable")[:DEPTH]
        both[n, places] = 10 + standard(first[n, places]) + standard(scores[places])
    found.rankings[BOTH] = Ranking.of(both, relevant)
    found.bytes[BOTH] = found.bytes["one vector"] + found.bytes["eight bits"]
    return found


def standard(scores: Numbers) -> Numbers:
    """Scores of a list, less their mean, by their standard deviation."""
    centred: Numbers = scores - scores.mean()
    return centred / max(float(scores.std()), 1e-6)


def through_a_space(
    one: Heads,
    many: Heads,
    towers: dict[str, Any],
    made: Sequence[Scene],
    work: Path,
    expected: Judged,
) -> str:
    """Save both, ask a space, and say what a query costs and whether it is as computed."""
    folder = work / f"asked-{len(made)}"
    for heads in (one, many):
        sides = {}
        for side in SIDES:
            whole = [towers[side], *heads.sides[side]]
            sides[side] = [*whole, Pooling(WIDTH, "mean")] if heads.pooled else whole
        router = Router(sides, route_mappings={(None, side): side for side in SIDES})
        model: Any
        if heads.pooled:
            model = SentenceTransformer(modules=[router, Normalize()])
        else:
            normalize = Normalize(module_input_name="token_embeddings")
            model = MultiVectorEncoder(modules=[router, normalize])
        model.save_pretrained(str(work / ("one" if heads.pooled else "many")))
    place = work / "scenes.unisem"
    reranker = load_reranker(work / "many")
    told: list[str] = []
    with SemanticSpace.open(place, encoder=str(work / "one"), image_roots=[folder]) as kept:
        kept.add([Record(id=f"{n:05}", image=folder / f"{n:05}.png") for n in range(len(made))])
        report = kept.make_tokens(reranker)  # type: ignore[arg-type]
        some = range(0, len(made), max(len(made) // 50, 1))
        costs = {"one vector": 0.0, "and many": 0.0}
        agreeing = 0
        for n in some:
            text = made[n].true[0]
            for name, judge in (("one vector", None), ("and many", reranker)):
                begun = time.process_time()
                hits = kept.search(text, k=10, reranker=judge, fetch_k=DEPTH, duplicates="keep")
                costs[name] += (time.process_time() - begun) / len(some)
            best = int(np.argmax(expected.reranked["eight bits"][n]))
            agreeing += int(hits[0].record.id) == best
        told.append(f"{report.made + report.present} pictures' vectors are kept")
    milliseconds = [f"{1000 * cost:.1f} ms" for cost in costs.values()]
    return (
        f"Through a space of {len(made)} pictures ({told[0]}): the first hit is the one computed "
        f"above for {agreeing} of {len(some)} captions; a query costs {milliseconds[0]} of a "
        f"processor by one vector and {milliseconds[1]} with {DEPTH} hits ordered anew."
    )


def swapped_together(made: Iterable[Scene]) -> list[int]:
    """Of each scene a number that it shares with its swaps, which come after it."""
    numbers: list[int] = []
    wrong: frozenset[str] = frozenset()
    for scene in made:
        is_swap = not wrong.isdisjoint(scene.true)
        numbers.append((numbers[-1] if numbers else -1) + (not is_swap))
        if not is_swap:
            wrong = frozenset(scene.wrong)
    return numbers


def quality(
    runs: Sequence[Judged], options: argparse.Namespace, made: Sequence[Scene]
) -> list[str]:
    """hit@1, hit@10 and the reciprocal rank, and what they gain over one vector."""
    lines = [
        f"{options.scenes} scenes to learn from, {options.asked} asked for, {options.steps} steps; "
        f"seeds {', '.join(map(str, options.seeds))}. Training took "
        f"{mean([it.costs[0] for it in runs]):.0f} s of a processor for one vector and "
        f"{mean([it.costs[1] for it in runs]):.0f} s for many.",
        "",
        "| by | bytes a picture | hit@1 | gained | hit@10 | gained | MRR | gained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    measures: list[Callable[[Ranking], NDArray[np.float64]]] = [
        lambda ranking: ranking.hit(1),
        lambda ranking: ranking.hit(10),
        lambda ranking: ranking.reciprocal_rank(),
    ]
    groups = swapped_together(made)
    for name in ("one vector", *FORMS, BOTH):
        cells = [f"{runs[0].bytes[name]:,.0f}"]
        for measure in measures:
            found = np.mean([measure(run.rankings[name]) for run in runs], axis=0)
            base = np.mean([measure(run.rankings["one vector"]) for run in runs], axis=0)
            cells.append(f"{found.mean():.3f}")
            low, high = bootstrap_interval(found - base, groups=groups, rounds=2000)
            gained = f"{(found - base).mean():+.3f} ({low:+.3f} to {high:+.3f})"
            cells.append("" if name == "one vector" else gained)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| seed | one vector, hit@1 | many, whole | many, eight bits |",
        "|---|---|---|---|",
    ]
    for seed, run in zip(options.seeds, runs, strict=True):
        names = ("one vector", "whole", "eight bits")
        shares = [f"{run.rankings[name].hit(1).mean():.3f}" for name in names]
        lines.append(f"| {seed} | {' | '.join(shares)} |")
    return lines


def agreement(runs: Sequence[Judged]) -> list[str]:
    """How far eight bits and pooling change the order of the first 50."""
    lines = [
        "| beside whole vectors | same first | of the first ten | pairs in the same order | "
        "largest change of a score |",
        "|---|---|---|---|---|",
    ]
    for name in list(FORMS)[1:]:
        same, ten, pairs, change = [], [], [], 0.0
        for run in runs:
            for whole, kept in zip(run.reranked["whole"], run.reranked[name], strict=True):
                places = np.argsort(-whole, kind="stable")[:DEPTH]
                a, b = whole[places], kept[places]
                order = places[np.argsort(-b, kind="stable")]
                same.append(order[0] == places[0])
                ten.append(len(set(order[:10]) & set(places[:10])) / 10)
                upper = np.triu_indices(len(places), 1)
                pairs.append(float(np.mean((b[:, None] - b)[upper] > 0)))
                change = max(change, float(np.abs(a - b).max()))
        lines.append(
            f"| {name} | {mean(same):.3f} | {mean(ten):.3f} | {mean(pairs):.3f} | {change:.3f} |"
        )
    return lines


def compared() -> list[str]:
    """What reading and comparing kept vectors costs, without encoding the query."""
    lines = [
        "| kept vectors of a picture | candidates | read | compared |",
        "|---|---|---|---|",
    ]
    rng = np.random.default_rng(0)
    place = Path("build/late_interaction/cost")
    place.mkdir(parents=True, exist_ok=True)
    for count, width, factor in ((49, WIDTH, 1), (1030, 128, 1), (1030, 128, 3)):
        whole = functional.normalize(torch.from_numpy(rng.normal(size=(count, width))), dim=-1)
        form = Int8Form(1)
        fewer = whole.numpy()[: count // factor].astype(np.float32)
        store = TokenStore(place, f"{count}-{factor}".rjust(16, "x"), form)
        keys = [f"{n:064x}" for n in range(1000)]
        content = form.packed(fewer)
        store.write(dict.fromkeys(keys, content))
        query = whole.numpy()[:20].astype(np.float32)
        for candidates in (50, 200, 1000):
            begun = time.process_time()
            kept = store.read(keys[:candidates])
            middle = time.process_time()
            max_sim(query, [[kept[key]] for key in keys[:candidates]])
            ended = time.process_time()
            lines.append(
                f"| {len(fewer)} of {width} ({len(content):,} bytes) | {candidates:,} | "
                f"{1000 * (middle - begun):.1f} ms | {1000 * (ended - middle):.1f} ms |"
            )
        store.path.unlink()
    return lines


def mean(values: Sequence[Any]) -> float:
    """A mean."""
    return float(np.mean(values))


def write_page(docs: Path, lines: Sequence[str]) -> None:
    """The tables, above what is written by hand."""
    page = docs / "late_interaction.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    _, heading, remarks = old.partition("## What to make of it")
    told = "`python -m benchmarks.late_interaction --docs docs/measured` writes these tables."
    head = __doc__.split("\n\n", 2)[2].strip()
    text = ["# Late interaction, measured", head, told, "\n".join(lines)]
    page.write_text("\n\n".join(text) + f"\n\n{heading}{remarks}", encoding="utf-8")


if __name__ == "__main__":
    main()
