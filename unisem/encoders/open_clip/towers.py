"""`TOWERS`: the picture towers of timm's that MobileCLIPs have, by timm's names.

Source: timm, ``fastvit.py`` and ``vision_transformer_hybrid.py``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

_FIRST_ATTENDING = 3  # stage


@dataclass(frozen=True, slots=True)
class FastVitTower:
    """MobileCLIP's of four stages, or MobileCLIP2's large one of five.

    Attributes:
        depths: Blocks of each stage.
        width: Channels of the first; each has twice as many as the one before.
        ratio: Of a block's inner channels to the others.
    """

    depths: tuple[int, ...]
    width: int
    ratio: int
    pool: Literal["avg"] = "avg"

    @property
    def is_large(self) -> bool:
        """Of five stages: no squeeze and excitation between them, but layer norms."""
        return len(self.depths) > 4

    @property
    def stages(self) -> list[dict[str, Any]]:
        """As `unisem.encoders.open_clip.fast_vit.Stage` has them."""
        return [
            {
                "depth": depth,
                "width": self.width << number,
                "inner": (self.width << number) * self.ratio,
                "attends": number >= _FIRST_ATTENDING,
                "positions": number >= _FIRST_ATTENDING,
                "excited": 0 if self.is_large or number < 2 else (self.width << number) // 4,
            }
            for number, depth in enumerate(self.depths)
        ]

    @property
    def settings(self) -> dict[str, Any]:
        """Of ``MobileClipVisionConfig``."""
        wide = self.width << len(self.depths)
        return {
            "tower": "fast_vit",
            "stages": self.stages,
            "hidden_size": wide,
            "excited": wide // 16,
            "layer_norm": self.is_large,
            "num_hidden_layers": sum(self.depths),
            "num_attention_heads": 1,  # which this tower has no word for
        }


@dataclass(frozen=True, slots=True)
class VitTower:
    """A ViT, behind a patch embedding or a stem of convolutions.

    Attributes:
        num_hidden_layers: Its blocks.
        hidden_size: Its width.
        num_attention_heads: Heads of a block.
        patch_size: Pixels of a place's side.
        stem_width: Channels between the stem's convolutions; 0 if there is none.
        layer_norm_eps: Of its norms.
    """

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    patch_size: int
    stem_width: int
    layer_norm_eps: float
    pool: Literal["token"] = "token"

    @property
    def settings(self) -> dict[str, Any]:
        """Of ``MobileClipVisionConfig``."""
        known = asdict(self)
        del known["pool"]
        tower = "stem_vit" if self.stem_width else "vit"
        return known | {"tower": tower, "intermediate_size": 4 * self.hidden_size}


Tower = FastVitTower | VitTower

TOWERS: dict[str, Tower] = {
    "fastvit_mci0": FastVitTower((2, 6, 10, 2), 64, 3),
    "fastvit_mci1": FastVitTower((4, 12, 20, 4), 64, 3),
    "fastvit_mci2": FastVitTower((4, 12, 24, 4), 80, 3),
    "fastvit_mci3": FastVitTower((2, 12, 24, 4, 2), 96, 4),
    "fastvit_mci4": FastVitTower((2, 12, 24, 4, 4), 128, 4),
    "vit_base_mci_224": VitTower(12, 768, 12, 16, 192, 1e-6),
    "vit_large_patch14_clip_224": VitTower(24, 1024, 16, 14, 0, 1e-5),
}
