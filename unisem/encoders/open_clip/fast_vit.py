"""`FastVit`: MobileCLIP's convolutional picture towers, every block's branches summed into one.

A tower is trained with several branches beside each convolution and a batch norm behind each
branch; for inference they are one convolution with a bias ("structural reparametrisation"), and
the scales of residuals are part of the layer before them. Only that form is here:
`unisem.encoders.open_clip.folding` makes it of a checkpoint.

Source: FastViT, https://arxiv.org/abs/2303.14189, section 3; MobileCLIP,
https://arxiv.org/abs/2311.17049, section 4; MobileCLIP2, https://arxiv.org/abs/2508.20691.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPooling

HEAD_WIDTH = 32
_LARGEST = {"depth": 1000, "width": 1 << 16, "inner": 1 << 18, "excited": 1 << 16}
_MOST_STAGES = 16


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks that see maps of one size.

    Attributes:
        depth: How many.
        width: Channels.
        inner: Channels between a block's two layers.
        attends: Whether they mix places by attention, or by a convolution.
        positions: Whether a convolution tells places apart before the first one.
        excited: Channels between the layers of a squeeze and excitation before the first one; 0 if
            there is none.
    """

    depth: int
    width: int
    inner: int
    attends: bool
    positions: bool
    excited: int

    @classmethod
    def from_json(cls, known: Any) -> Self:
        """Read what `dataclasses.asdict` made of one, of a file that may be a stranger's.

        Raises:
            ValueError: A number is none that a stage could have.
        """
        if not isinstance(known, Mapping) or known.keys() != {one.name for one in fields(cls)}:
            raise ValueError(f"{known!r} is no stage of a FastViT")
        for name, most in _LARGEST.items():
            least = 0 if name == "excited" else 1
            if type(known[name]) is not int or not least <= known[name] <= most:
                raise ValueError(
                    f"a stage's {name} must be a whole number from {least} to {most:,}, not "
                    f"{known[name]!r}"
                )
        if known["attends"] and known["width"] % HEAD_WIDTH:
            raise ValueError(f"a stage that attends is {known['width']} wide, no multiple of 32")
        return cls(**known)


class FastVit(nn.Module):
    """A picture tower: a stem, stages of which each halves the map, and one wide convolution.

    Args:
        stages: From `Stage`, as JSON has them.
        width: Channels of the last map.
        excited: Channels between the layers of its squeeze and excitation.
        layer_norm: Whether attention has a layer norm before it; a batch norm is part of the
            layer behind it.

    Raises:
        ValueError: There can be no such tower.
    """

    def __init__(
        self, stages: Sequence[Any], width: int, excited: int, *, layer_norm: bool
    ) -> None:
        super().__init__()
        if not 1 <= len(stages) <= _MOST_STAGES:
            raise ValueError(f"a FastViT has 1 to {_MOST_STAGES} stages, not {len(stages):,}")
        described = [Stage.from_json(one) for one in stages]
        first = described[0].width
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(first, first, 3, stride=2, padding=1, groups=first),
            nn.GELU(),
            nn.Conv2d(first, first, 1),
            nn.GELU(),
        )
        before = [None, *(one.width for one in described)]
        self.stages = nn.ModuleList(
            _Stage(one, of, layer_norm) for one, of in zip(described, before, strict=False)
        )
        last = described[-1].width
        self.widen = nn.Conv2d(last, width, 3, padding=1, groups=last)
        self.excite = _Excitation(width, excited)

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """The maps of pictures.

        Args:
            pixel_values: ``(n, 3, height, width)``, sides that 32 divides, or 64 with five stages.

        Returns:
            ``last_hidden_state`` ``(n, places, channels)``, its mean ``pooler_output``, and each
            stage's map, ``(n, channels, rows, columns)``, as ``hidden_states``.
        """
        maps = []
        x = self.stem(pixel_values)  # (n, c, h / 4, w / 4)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        x = functional.gelu(self.excite(self.widen(x)))
        return BaseModelOutputWithPooling(
            last_hidden_state=x.flatten(2).transpose(1, 2),
            pooler_output=x.mean((2, 3)),
            hidden_states=(*maps, x),
        )


class _Stage(nn.Module):
    def __init__(self, of: Stage, before: int | None, layer_norm: bool) -> None:
        super().__init__()
        self.halve = nn.Identity() if before is None else _Halving(before, of.width, of.excited)
        self.positions = _depthwise(of.width, 7) if of.positions else nn.Identity()
        mix = _Attention if of.attends else _Convolving
        self.blocks = nn.Sequential(
            *(_Block(mix(of.width, layer_norm), of.width, of.inner) for _ in range(of.depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.positions(self.halve(x)))
        return out


class _Halving(nn.Module):
    """Half as many rows and columns, of more channels."""

    def __init__(self, before: int, width: int, excited: int) -> None:
        super().__init__()
        self.large = nn.Conv2d(before, width, 7, stride=2, padding=3, groups=before)
        self.excite = _Excitation(width, excited) if excited else nn.Identity()
        self.point = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(self.point(functional.gelu(self.excite(self.large(x)))))


class _Block(nn.Module):
    """Places are mixed, then channels; scales of the two residuals are folded into weights."""

    def __init__(self, mix: nn.Module, width: int, inner: int) -> None:
        super().__init__()
        self.mix = mix
        self.conv = _depthwise(width, 7)
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x)
        out: Tensor = x + self.fc2(functional.gelu(self.fc1(self.conv(x))))
        return out


class _Convolving(nn.Module):
    """RepMixer, its residual folded in as well: the kernel's middle has one more."""

    def __init__(self, width: int, layer_norm: bool) -> None:
        super().__init__()
        self.conv = _depthwise(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class _Attention(nn.Module):
    """Every place looks at every other, heads 32 wide."""

    def __init__(self, width: int, layer_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.qkv(self.norm(x.flatten(2).transpose(1, 2)))  # (n, places, 3 * c)
        q, k, v = seen.unflatten(-1, (3, -1, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)  # (n, heads, places, 32)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2)).transpose(1, 2)
        return x + out.reshape(x.shape)


class _Excitation(nn.Module):
    """Squeeze and excitation: channels weighed by what the whole map is like."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = functional.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        weights: Tensor = self.fc2(squeezed).sigmoid()
        return x * weights


def _depthwise(width: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
