"""What runs of `benchmarks.active_learning` are, and the table and the plot that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from unisem.evaluation.ranking import bootstrap_interval
from unisem.pairs.labelling.strategies import DEFAULT

BUDGETS = (50, 100, 200, 250, 400, 800)
COMPARED = 400  # labels of random that the default is to do without
K = 10


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy with one seed.

    Attributes:
        strategy: Its name.
        seed: The seed.
        hits: For each budget that the pool has pictures for, for each caption, 1 if its picture is
            among the first ten.
        seconds: For each budget, spent choosing.
    """

    strategy: str
    seed: int
    hits: list[list[float]]
    seconds: list[float]


def write(start: list[float], runs: Sequence[Run], docs: Path) -> None:
    """Write the table and the plot; what the page says beside them stays."""
    names = list(dict.fromkeys(run.strategy for run in runs))
    budgets = BUDGETS[: len(runs[0].hits)]
    means = {name: _hits(runs, name).mean(axis=0) for name in names}  # (budgets, captions)
    heads = " | ".join(map(str, budgets))
    lines = [
        f"Start model: {np.mean(start):.3f}. {len(start)} captions, "
        f"{len({run.seed for run in runs})} seeds.",
        "",
        f"| strategy | {heads} | labels for random's {COMPARED} |",
        "|---|" + "---|" * (len(budgets) + 1),
    ]
    for name in names:
        cells = [f"{row.mean():.3f}" for row in means[name]]
        if "random" in means:
            reached = labels_for(means["random"][BUDGETS.index(COMPARED)].mean(), means[name])
            cells.append(f"not by {budgets[-1]}" if reached is None else f"{reached:.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if "random" in means:
        lines += ["", f"| less random | {heads} |", "|---|" + "---|" * len(budgets)]
        for name in names:
            if name != "random":
                cells = [
                    _change(one, two) for one, two in zip(means[name], means["random"], strict=True)
                ]
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
    Console().print("\n".join(lines))
    page = docs / "labels.md"
    if page.is_file():
        before, _, rest = page.read_text(encoding="utf-8").partition("<!-- table -->\n")
        _, _, after = rest.partition("<!-- end of table -->\n")
        table = "\n".join(["<!-- table -->", *lines, "<!-- end of table -->", ""])
        page.write_text(before + table + after, encoding="utf-8")
    plot(float(np.mean(start)), {name: _hits(runs, name) for name in names}, docs / "labels.png")


def labels_for(wanted: float, hits: NDArray[np.float64]) -> float | None:
    """The labels at which a curve, straight between budgets, first reaches a mean.

    Args:
        wanted: The mean.
        hits: ``(budgets, captions)``.
    """
    curve = hits.mean(axis=1)
    for place, value in enumerate(curve):
        if value >= wanted:
            if not place:
                return float(BUDGETS[0])
            share = (wanted - curve[place - 1]) / (value - curve[place - 1])
            return float(BUDGETS[place - 1] + share * (BUDGETS[place] - BUDGETS[place - 1]))
    return None


def _hits(runs: Sequence[Run], name: str) -> NDArray[np.float64]:
    """``(seeds, budgets, captions)``."""
    return np.array([run.hits for run in runs if run.strategy == name])


def _change(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    low, high = bootstrap_interval(ours - theirs, rounds=2000)
    return f"{(ours - theirs).mean():+.3f} ({low:+.3f} to {high:+.3f})"


def plot(start: float, hits: dict[str, NDArray[np.float64]], path: Path) -> None:
    """Draw hit@10 against labels, the means of seeds; random's and the default's with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    budgets = BUDGETS[: len(next(iter(hits.values()))[0])]
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for name, values in hits.items():
        curve = values.mean(axis=(0, 2))
        is_told = name in (DEFAULT, "random")
        (line,) = axes.plot(
            budgets, curve, marker="o", markersize=4, label=name, linewidth=2.5 if is_told else 1
        )
        if is_told:
            bounds = [bootstrap_interval(row, rounds=2000) for row in values.mean(axis=0)]
            low, high = zip(*bounds, strict=True)
            axes.fill_between(budgets, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.axhline(start, color="#888888", linestyle=":", label="start model")
    axes.set_xscale("log")
    axes.set_xticks(budgets, [str(budget) for budget in budgets])
    axes.minorticks_off()
    axes.set_xlabel("captions written")
    axes.set_ylabel("hit@10, caption to picture, strict held-out Open Clip Art")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
