"""The architectures that are tested, and what each of them does in every column of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.encoders.architectures import conversational, joint, towers
from tests.encoders.architectures.references import (
    Reference,
    of_embedding_gemma_2,
    of_joint,
    of_mobile_clip,
    of_qwen3_vl,
    of_towers,
)


@dataclass(frozen=True)
class Architecture:
    """A tiny checkpoint of an architecture, and what is true of all of its kind.

    Attributes:
        save: Writes the checkpoint; returns its directory.
        reference: Transformers' own vectors of it, or the formula's.
        lost: The beginning of weights that a vector depends on, and the file that holds them.
        exported: What ``export_onnx`` says where it refuses; ``None`` where it exports.
        fused: Whether a text and a picture have one vector together.
        half: The least cosine between a vector in bfloat16 and in float32.
        beside: What the table says of the reference: ``"yes"`` if it is transformers'.
    """

    save: Callable[[Path], Path]
    reference: Callable[[Path], Reference] = of_joint
    lost: tuple[str, str] = ("text_model.encoder.layers.1.mlp", "model.safetensors")
    exported: str | None = None
    fused: bool = False
    half: float = 0.99
    beside: str = "yes"


_OWN_PICTURES = "prepares pictures in a way that is not known"
_TOWER = ("encoder.layer.1", "text_0_Transformer/model.safetensors")
_LANGUAGE = "language_model.layers.1"

ARCHITECTURES = {
    "CLIP": Architecture(joint.save_clip),
    "MetaCLIP 2": Architecture(joint.save_metaclip_2),
    "SigLIP": Architecture(joint.save_siglip),
    "SigLIP 2": Architecture(joint.save_siglip_2),
    "SigLIP 2 NaFlex": Architecture(joint.save_siglip_2_naflex, exported=_OWN_PICTURES),
    "MobileCLIP": Architecture(joint.save_mobile_clip, of_mobile_clip, beside="the formula"),
    "Chinese-CLIP": Architecture(
        joint.save_chinese_clip, lost=("text_model.encoder.layer.1", "model.safetensors")
    ),
    "AltCLIP": Architecture(
        joint.save_altclip, lost=("text_model.roberta.encoder.layer.1", "model.safetensors")
    ),
    "ALIGN": Architecture(
        joint.save_align, lost=("text_model.encoder.layer.1", "model.safetensors")
    ),
    "EmbeddingGemma 2": Architecture(
        conversational.save_embedding_gemma_2,
        of_embedding_gemma_2,
        lost=(_LANGUAGE, "model.safetensors"),
        exported=_OWN_PICTURES,
        fused=True,
    ),
    "Qwen3-VL-Embedding": Architecture(
        conversational.save_qwen3_vl_embedding,
        of_qwen3_vl,
        lost=(f"model.{_LANGUAGE}", "model.safetensors"),
        exported=_OWN_PICTURES,
        fused=True,
    ),
    "BERT + ViT": Architecture(towers.save_bert_and_vit, of_towers, lost=_TOWER),
    "BERT + SigLIP": Architecture(towers.save_bert_and_siglip, of_towers, lost=_TOWER),
    "ModernBERT + DINOv2": Architecture(
        towers.save_modernbert_and_dinov2,
        of_towers,
        lost=("layers.1", "text_0_Transformer/model.safetensors"),
    ),
}
"""By what the table calls them."""
