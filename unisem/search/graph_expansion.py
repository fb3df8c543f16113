"""`GraphExpansion`: how a knowledge graph takes part in a search."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unisem.search.fusion import Fusion, WeightedFusion
from unisem.stores.graph import HEAVIEST, LIGHTEST

Expansion = Literal["pagerank", "taxonomy"]
MOST_STEPS = 4
"""How deep a walk may go."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphExpansion:
    """Finds what a query's things have to do with, beside what is alike.

    ``"pagerank"``: from the entities that the query names, and those that its first hits mention,
    a walk spreads along relations; records count by what they mention. ``"taxonomy"``: where the
    whole query is the name of something, articles and *kinds of* aside, its narrower terms and
    itself are looked for as further texts; this needs no mentions, and relations of the types
    ``"broader"`` or ``"narrower"``. Either list is fused with the query's own hits. Where there is
    nothing to add, as in a graph without entities, the answer is the plain one. See
    ``docs/concepts/graph.md``.

    Attributes:
        method: ``"pagerank"`` or ``"taxonomy"``.
        depth: How many relations away from the query's entities, from 1 to 4.
        types: Walk along relations of these types only; with numbers, what their weights are
            multiplied by, from 10⁻⁶ to 10⁶. All alike if ``None``. For ``"pagerank"``.
        damping: The share of a walk's steps that go on instead of starting over.
        limit: Neighbours of an entity at most, the heaviest; a hub may have a hundred thousand.
        seed_hits: How many of the first hits say by their mentions where walks begin, too.
        terms: Narrower terms that are looked for at most.
        fusion: How the query's own list, as the first, and the graph's become one; ``None`` as
            suits the method, see `fused_by`.
    """

    method: Expansion = "pagerank"
    depth: int = 2
    types: Sequence[str] | Mapping[str, float] | None = None
    damping: float = 0.5
    limit: int = 32
    seed_hits: int = 5
    terms: int = 64
    fusion: Fusion | None = None

    def __post_init__(self) -> None:
        if self.method not in ("pagerank", "taxonomy"):
            raise ValueError(f'method must be "pagerank" or "taxonomy", not {self.method!r}')
        for name, least, most in (
            ("depth", 1, MOST_STEPS),
            ("limit", 1, 1000),
            ("seed_hits", 0, 100),
            ("terms", 1, 256),
        ):
            value = getattr(self, name)
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if not is_whole or not least <= value <= most:
                raise ValueError(f"{name} must be from {least} to {most}, not {value!r}")
        if not 0 <= self.damping < 1:
            raise ValueError(f"damping must be from 0 to less than 1, not {self.damping!r}")
        if self.fusion is not None and not isinstance(self.fusion, Fusion):
            raise TypeError(f"fusion must be a unisem.search.fusion.Fusion, not {self.fusion!r}")
        self._check_types()

    def _check_types(self) -> None:
        types: Any = self.types
        if types is None:
            return
        if isinstance(types, str) or not isinstance(types, Collection):
            raise TypeError(
                f"types must be a list of types, for example ['broader'], not {types!r}"
            )
        for name in types:
            if not isinstance(name, str):
                raise TypeError(f"types: {name!r} must be the name of a type")
        for name, factor in types.items() if isinstance(types, Mapping) else ():
            if not isinstance(factor, int | float) or isinstance(factor, bool):
                raise TypeError(f"types: the weight of {name!r} must be a number, not {factor!r}")
            if not LIGHTEST <= factor <= HEAVIEST:  # not a number neither
                raise ValueError(
                    f"types: the weight of {name!r} must be from {LIGHTEST:g} to {HEAVIEST:g}, "
                    f"not {factor!r}"
                )

    @property
    def fused_by(self) -> Fusion:
        """`fusion`, or else by weight: what a walk led to counts 0.3, narrower terms count half."""
        if self.fusion is not None:
            return self.fusion
        return WeightedFusion(0.5 if self.method == "taxonomy" else 0.7)

    @property
    def type_weights(self) -> dict[str, float] | None:
        """What relations' weights are multiplied by, by type; ``None``: all count alike."""
        if self.types is None or isinstance(self.types, Mapping):
            return None if self.types is None else dict(self.types)
        return dict.fromkeys(self.types, 1.0)
