"""`Renaming`: a checkpoint's tensors on their way to new names, and which of them are missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unisem.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

_NAMED = 5  # tensors that an error names


class Renaming:
    """Takes tensors by their old names and keeps them by their new ones.

    Args:
        tensors: All of a checkpoint.
        directory: Where it is from, for errors.

    Attributes:
        found: What was kept.
    """

    def __init__(self, tensors: Mapping[str, Tensor], directory: Path) -> None:
        self.tensors = tensors
        self.found: dict[str, Tensor] = {}
        self._directory = directory
        self._used: set[str] = set()
        self._missing: list[str] = []

    def _get(self, name: str) -> Tensor | None:
        self._used.add(name)
        if name not in self.tensors:
            self._missing.append(name)
        return self.tensors.get(name)

    def wide(self, name: str, *shape: int) -> Tensor:
        """A tensor in float64, to be computed with; zeros if it is missing, which `check` says.

        Raises:
            EncoderError: It has another shape.
        """
        import torch

        tensor = self._get(name)
        if tensor is None:
            return torch.zeros(shape, dtype=torch.float64)
        if tensor.shape != shape:
            raise EncoderError(
                f"{self._directory}'s checkpoint has {name} of shape {tuple(tensor.shape)}, where "
                f"a model of its name has {shape}; its weights and open_clip_config.json do not "
                "belong together"
            )
        return tensor.double()

    def take(self, name: str, new: str, *, transpose: bool = False, squeeze: bool = False) -> None:
        """Keep one; ``squeeze`` takes its first axis away."""
        if (tensor := self._get(name)) is not None:
            tensor = tensor.T if transpose else tensor
            self.found[new] = (tensor[0] if squeeze else tensor).contiguous()

    def both(self, name: str, new: str) -> None:
        """Keep a weight and its bias."""
        for part in ("weight", "bias"):
            self.take(f"{name}.{part}", f"{new}.{part}")

    def keep(self, new: str, kernel: Tensor, bias: Tensor) -> None:
        """Keep what was computed, in float32: half precision would round it once more."""
        self.found[f"{new}.weight"] = kernel.float().contiguous()
        self.found[f"{new}.bias"] = bias.float().contiguous()

    def split(self, name: str, layer: str, part: str) -> None:
        """Keep queries, keys and values, which are three thirds of one tensor."""
        if (tensor := self._get(name)) is not None:
            for which, third in zip("qkv", tensor.chunk(3), strict=False):
                self.found[f"{layer}self_attn.{which}_proj.{part}"] = third.contiguous()

    def join(self, names: list[str], new: str) -> None:
        """Keep several as one, along the first axis."""
        import torch

        parts = [tensor for name in names if (tensor := self._get(name)) is not None]
        if len(parts) == len(names):
            self.found[new] = torch.cat(parts)

    def drop(self, name: str) -> None:
        """Do without one, if it is there."""
        self._used.add(name)

    def check(self) -> None:
        """See that all were there and all were used.

        Raises:
            EncoderError: Names those that were not.
        """
        unknown = sorted(self.tensors.keys() - self._used)
        for names, fate in ((self._missing, "lacks"), (unknown, "has, which is not understood,")):
            if names:
                more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
                raise EncoderError(
                    f"{self._directory}'s checkpoint {fate} {', '.join(names[:_NAMED])}{more}; its "
                    "weights and open_clip_config.json do not belong together, or it is no CLIP"
                )
