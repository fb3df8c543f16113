"""`CrossModalTransformer`: words and a picture's tokens meet, and are judged or written from.

The whole network, from top to bottom:

1. An adapter makes a picture's tokens from the feature map of an encoder's image tower. They are
   all that is ever needed of the picture, and small enough to be stored.
2. Matching: words look at each other and, in every layer, at the tokens; a vector put before them
   gathers the verdict. Several texts may be judged against one picture at once.
3. Writing: a second stack does the same, but a word sees only those before it, and the next one is
   predicted.

Sizes in comments: b pictures, k texts for each, l words, t tokens, p places of the feature map,
d the width inside, h heads of e numbers.

Sources: the image-grounded text encoder and decoder are BLIP's (Li et al. 2022,
https://arxiv.org/abs/2201.12086, figure 2); tokens that are made when pictures are indexed and
stored are EDJE's (2025, https://arxiv.org/abs/2510.06820).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Fusion = Literal["transformer", "attention", "cosine"]
_MOST = 1 << 20  # of any size; a file that says more is damaged or hostile
_MOST_SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossModalSettings:
    """What decides the shape of a `CrossModalTransformer`.

    Attributes:
        feature_width: Channels of the image tower's feature map.
        side: Rows and columns of the feature map.
        words: Size of the vocabulary.
        text_width: Width of the text tower's token vectors, where words are given as those; with
            ``None`` the network has word vectors of its own.
        fusion: ``"transformer"`` is described above. ``"attention"`` is the article's own form: the
            text's first token vector attends once to the picture's tokens, and a head judges both.
            ``"cosine"``: the mean of the text's token vectors does, and the verdict is the cosine
            of what it says and what it saw, times a learned number.
        width: Numbers in a vector inside.
        heads: Of every attention; they divide the width.
        layers: Of the matching stack; ``"attention"`` and ``"cosine"`` have none.
        caption_layers: Of the writing stack; 0 leaves it out.
        picture_tokens: Vectors that a picture becomes: as many as places in the feature map, or
            fewer, which gather what lies at several places.
        token_width: Numbers in each of them; two bytes a number where they are stored.
        length: Words of a text that are read, and of a caption that are written.
        dropout: Share of numbers dropped while training.

    Raises:
        ValueError: Out of range, or sizes that do not go together.
    """

    feature_width: int
    side: int = 7
    words: int
    text_width: int | None = None
    fusion: Fusion = "transformer"
    width: int = 128
    heads: int = 4
    layers: int = 3
    caption_layers: int = 3
    picture_tokens: int = 49
    token_width: int = 128
    length: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.fusion not in get_args(Fusion):
            known = ", ".join(map(repr, get_args(Fusion)))
            raise ValueError(f"fusion must be one of {known}, not {self.fusion!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("fusion", "dropout") or (field.name == "text_width" and not value):
                continue
            least = 0 if field.name == "caption_layers" else 1
            if type(value) is not int or not least <= value <= _MOST:
                raise ValueError(f"{field.name} must be a whole number from {least}, not {value!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, not {self.dropout!r}")
        if self.side > _MOST_SIDE:
            raise ValueError(f"side must be at most {_MOST_SIDE}, not {self.side}")
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")
        if self.picture_tokens > self.side**2:
            raise ValueError(
                f"picture_tokens must be at most the {self.side**2} places of the feature map, "
                f"not {self.picture_tokens}"
            )

    @property
    def bytes_per_picture(self) -> int:
        """Bytes of a picture's stored tokens: float16."""
        return 2 * self.picture_tokens * self.token_width


class Written(NamedTuple):
    """What cached writing goes on from: per layer, keys and values of the words so far.

    Attributes:
        words: Per layer ``(b, h, n, e)`` keys and values of ``n`` written words.
        pictures: Per layer ``(b, h, t, e)`` keys and values of the picture's tokens.
    """

    words: tuple[tuple[Tensor, Tensor], ...]
    pictures: tuple[tuple[Tensor, Tensor], ...]

    def select(self, rows: Tensor) -> Written:
        """The same of some rows, in that order: what a beam search keeps."""

        def kept(pairs: tuple[tuple[Tensor, Tensor], ...]) -> tuple[tuple[Tensor, Tensor], ...]:
            return tuple((keys[rows], values[rows]) for keys, values in pairs)

        return Written(kept(self.words), kept(self.pictures))


class CrossModalTransformer(nn.Module):
    """Judges whether a text fits a picture, and writes what a picture shows; see the module.

    Args:
        settings: Its shape.
    """

    def __init__(self, settings: CrossModalSettings) -> None:
        super().__init__()
        self.settings = s = settings
        self.adapter = _Adapter(s)
        self.word_vectors = (
            nn.Embedding(s.words, s.width)
            if s.text_width is None
            else nn.Sequential(nn.LayerNorm(s.text_width), nn.Linear(s.text_width, s.width))
        )
        self.read = nn.Linear(s.token_width, s.width)
        if s.fusion != "transformer":
            self.attention = nn.MultiheadAttention(
                s.width, s.heads, dropout=s.dropout, batch_first=True
            )
            self.verdict_head: nn.Module = (
                _Cosine()
                if s.fusion == "cosine"
                else nn.Sequential(
                    nn.Linear(2 * s.width, s.width), nn.GELU(), nn.Linear(s.width, 1)
                )
            )
        else:
            self.verdict = nn.Parameter(torch.zeros(s.width))
            self.places = nn.Parameter(torch.empty(s.length, s.width))
            self.blocks = nn.ModuleList(_Block(s) for _ in range(s.layers))
            self.verdict_head = nn.Sequential(nn.LayerNorm(s.width), nn.Linear(s.width, 1))
        if s.caption_layers:
            self.caption_words = nn.Embedding(s.words, s.width)
            self.caption_places = nn.Parameter(torch.empty(s.length, s.width))
            self.caption_read = nn.Linear(s.token_width, s.width)
            self.caption_blocks = nn.ModuleList(_Block(s) for _ in range(s.caption_layers))
            self.caption_norm = nn.LayerNorm(s.width)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith(("places", "queries")):
                nn.init.normal_(parameter, std=0.02)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.read.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.read.weight.dtype

    def tokens(self, features: Tensor) -> Tensor:
        """Make pictures' tokens of feature maps: ``(b, p, c)`` float to ``(b, t, w)`` float."""
        made: Tensor = self.adapter(features)
        return made

    def match(self, words: Tensor, present: Tensor, tokens: Tensor) -> Tensor:
        """Judge k texts against each of b pictures.

        Args:
            words: ``(b, k, l)`` int64 ids, or ``(b, k, l, text_width)`` token vectors; with a
                first size of 1, the same texts for every picture.
            present: ``(b, k, l)`` bool, false where a text is over; likewise.
            tokens: ``(b, t, token_width)`` from `tokens`.

        Returns:
            ``(b, k)`` float logits: higher is a better match.
        """
        pictures = self.read(tokens)  # (b, t, d)
        b = len(pictures)
        if self.settings.fusion != "transformer":
            text = self._text(words, present).expand(b, -1, -1)  # (b, k, d)
            seen, _ = self.attention(text, pictures, pictures, need_weights=False)  # (b, k, d)
            judged: Tensor = self.verdict_head(torch.cat([text, seen], -1).float())  # (b, k, 1)
            return judged[..., 0]
        x = self.word_vectors(words) + self.places[: words.shape[2]]  # (b, k, l, d)
        x, present = x.expand(b, -1, -1, -1), present.expand(b, -1, -1)
        x = torch.cat([self.verdict.expand(*x.shape[:2], 1, -1), x], 2)  # (b, k, 1 + l, d)
        mask = functional.pad(present, (1, 0), value=True).flatten(0, 1)[:, None, None]
        last = len(self.blocks) - 1
        for number, block in enumerate(_blocks(self.blocks)):
            wanted = 1 if number == last else None  # the verdict is all that is read
            x, _ = block(x, block.seen(pictures), mask, wanted=wanted)
        logits: Tensor = self.verdict_head(x[:, :, 0].float())  # (b, k, 1)
        return logits[..., 0]

    def _text(self, words: Tensor, present: Tensor) -> Tensor:
        """One vector of each text, ``(b, k, d)``."""
        if self.settings.fusion == "attention":
            first: Tensor = self.word_vectors(words[:, :, 0])
            return first
        if self.settings.text_width is None:
            return _mean(self.word_vectors(words), present)
        mean: Tensor = self.word_vectors(_mean(words, present))  # as a text tower pools
        return mean

    def caption_logits(self, words: Tensor, tokens: Tensor) -> Tensor:
        """Predict at every word the next one, from the picture and the words up to it.

        Args:
            words: ``(b, l)`` int64 ids, from the sign that begins a caption on.
            tokens: ``(b, t, token_width)``.

        Returns:
            ``(b, l, words)`` float logits.
        """
        pictures = self.caption_read(tokens)
        x = self.caption_words(words) + self.caption_places[: words.shape[1]]  # (b, l, d)
        x = x[:, None]  # (b, 1, l, d)
        for block in _blocks(self.caption_blocks):
            x, _ = block(x, block.seen(pictures))
        return self._next_words(x[:, 0])

    def begin(self, tokens: Tensor) -> Written:
        """Begin captions: what pictures give every layer is computed once."""
        pictures = self.caption_read(tokens)
        s = self.settings
        none = pictures.new_empty(len(tokens), s.heads, 0, s.width // s.heads)
        blocks = list(_blocks(self.caption_blocks))
        return Written(
            tuple((none, none) for _ in blocks), tuple(block.seen(pictures) for block in blocks)
        )

    def step(self, words: Tensor, written: Written) -> tuple[Tensor, Written]:
        """Write one word more, without computing what went before anew.

        Args:
            words: ``(b,)`` int64, the newest word of each caption.
            written: From `begin` or the step before.

        Returns:
            ``(b, words)`` float logits of the next word, and what to go on from. They are those of
            `caption_logits` but for rounding.
        """
        place = written.words[0][0].shape[2]
        x = self.caption_words(words) + self.caption_places[place]  # (b, d)
        x = x[:, None, None]  # (b, 1, 1, d)
        past = []
        for block, before, seen in zip(
            _blocks(self.caption_blocks), written.words, written.pictures, strict=True
        ):
            x, after = block(x, seen, past=before)
            past.append(after)
        return self._next_words(x[:, 0, 0]), Written(tuple(past), written.pictures)

    def _next_words(self, x: Tensor) -> Tensor:
        return functional.linear(self.caption_norm(x), self.caption_words.weight)


class _Cosine(nn.Module):
    """The cosine of a vector's two halves, times a learned number: ``(…, 2d)`` to ``(…, 1)``."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(15)))

    def forward(self, both: Tensor) -> Tensor:
        said, seen = both.chunk(2, -1)
        cosines = functional.cosine_similarity(said, seen, dim=-1)
        return self.log_scale.exp() * cosines[..., None]


class _Adapter(nn.Module):
    """A feature map to a picture's tokens."""

    def __init__(self, s: CrossModalSettings) -> None:
        super().__init__()
        self.side = s.side
        self.norm = nn.LayerNorm(s.feature_width)
        inputs = s.feature_width + _coordinates(1).shape[1]
        self.project = nn.Sequential(
            nn.Linear(inputs, 2 * s.token_width),
            nn.GELU(),
            nn.Linear(2 * s.token_width, s.token_width),
        )
        self.gathers = s.picture_tokens < s.side**2
        if self.gathers:
            self.queries = nn.Parameter(torch.empty(s.picture_tokens, s.token_width))
            self.keys = nn.Linear(s.token_width, s.token_width)
        self.last_norm = nn.LayerNorm(s.token_width)

    def forward(self, features: Tensor) -> Tensor:
        x = self.norm(features)  # (b, p, c)
        places = _coordinates(self.side).to(x)  # (p, 10)
        x = self.project(torch.cat([x, places.expand(len(x), -1, -1)], -1))  # (b, p, w)
        if self.gathers:
            queries = self.queries.expand(len(x), -1, -1)  # (b, t, w)
            x = functional.scaled_dot_product_attention(queries, self.keys(x), x)
        normed: Tensor = self.last_norm(x)
        return normed


class _Block(nn.Module):
    """Words look at each other, then at the picture, then each is thought over by itself."""

    def __init__(self, s: CrossModalSettings) -> None:
        super().__init__()
        self.heads, self.dropout = s.heads, s.dropout
        self.words_norm = nn.LayerNorm(s.width)
        self.words_in = nn.Linear(s.width, 3 * s.width)
        self.words_out = nn.Linear(s.width, s.width)
        self.picture_norm = nn.LayerNorm(s.width)
        self.picture_query = nn.Linear(s.width, s.width)
        self.picture_in = nn.Linear(s.width, 2 * s.width)
        self.picture_out = nn.Linear(s.width, s.width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(s.width),
            nn.Linear(s.width, 4 * s.width),
            nn.GELU(),
            nn.Linear(4 * s.width, s.width),
        )
        self.drop = nn.Dropout(s.dropout)

    def seen(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a picture, ``(b, t, d)`` to ``(b, h, t, e)`` each."""
        keys, values = self.picture_in(pictures).chunk(2, -1)
        return self._by_head(keys), self._by_head(values)

    def forward(
        self,
        x: Tensor,
        seen: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
        wanted: int | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One layer.

        Args:
            x: ``(b, k, l, d)``.
            seen: From `seen`.
            mask: ``(bk, 1, 1, l)``, which words are there; with ``None`` a word sees those before.
            past: Keys and values of the words before these, ``(b, h, n, e)`` each.
            wanted: How many of the first words come back, ``(b, k, wanted, d)``; all if ``None``.
        """
        b, k, l, d = x.shape  # noqa: E741
        normed = self.words_norm(x).flatten(0, 1)  # (bk, l, d)
        if wanted is not None:
            x, l = x[:, :, :wanted], wanted  # noqa: E741
        weight, bias = self.words_in.weight, self.words_in.bias
        queries = self._by_head(functional.linear(normed[:, :l], weight[:d], bias[:d]))
        keys, values = map(
            self._by_head, functional.linear(normed, weight[d:], bias[d:]).chunk(2, -1)
        )  # (bk, h, l, e)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        found = self._attend(
            queries, keys, values, mask=mask, causal=mask is None and past is None
        )  # (bk, l, d)
        x = x + self.drop(self.words_out(found)).view(b, k, l, -1)
        queries = self._by_head(self.picture_query(self.picture_norm(x)).flatten(1, 2))
        found = self._attend(queries, *seen)  # (b, kl, d): a text's words ask the one picture
        x = x + self.drop(self.picture_out(found)).view(b, k, l, -1)
        return x + self.drop(self.feed_forward(x)), (keys, values)

    def _attend(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        found = functional.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return found.transpose(1, 2).flatten(2)

    def _by_head(self, x: Tensor) -> Tensor:
        split = x.view(*x.shape[:-1], self.heads, -1)
        return split.transpose(-3, -2)  # (…, n, d) to (…, h, n, e)


def _mean(vectors: Tensor, present: Tensor) -> Tensor:
    """Mean of the vectors that are there: ``(b, k, l, w)`` and ``(b, k, l)`` to ``(b, k, w)``."""
    there = present[..., None].to(vectors.dtype)
    return (vectors * there).sum(2) / there.sum(2)


def _blocks(stack: nn.ModuleList) -> Iterator[_Block]:
    for block in stack:
        assert isinstance(block, _Block)
        yield block


def _coordinates(side: int) -> Tensor:
    """``(p, 10)``: where each place lies, from -1 to 1, and waves of it."""
    line = (torch.arange(side) + 0.5) * (2 / side) - 1
    across = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).flatten(0, 1)  # (p, 2)
    waves = [f(math.pi * n * across) for n in (0.5, 1) for f in (torch.sin, torch.cos)]
    return torch.cat([across, *waves], -1)
