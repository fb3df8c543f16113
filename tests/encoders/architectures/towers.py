"""Tiny two-tower models: a text network and a picture network that never met, as one `Router`."""

from __future__ import annotations

from pathlib import Path

from tests.support.networks import save_bert, save_network, save_vision
from unisem.training import two_towers


def save_bert_and_vit(directory: Path) -> Path:
    """BERT, mean over tokens; ViT, class token."""
    text = save_bert(directory / "text")
    return _joined(directory, text, save_vision(directory / "image", "ViT"))


def save_modernbert_and_dinov2(directory: Path) -> Path:
    """ModernBERT, mean over tokens; DINOv2, class token behind the last norm."""
    ends = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}
    text = save_network(directory / "text", "ModernBert", max_position_embeddings=64, **ends)
    return _joined(directory, text, save_vision(directory / "image", "Dinov2"))


def save_bert_and_siglip(directory: Path) -> Path:
    """BERT, mean over tokens; SigLIP's picture tower, which pools by attention."""
    text = save_bert(directory / "text")
    return _joined(directory, text, save_vision(directory / "image", "SiglipVision"))


def _joined(directory: Path, text: Path, image: Path) -> Path:
    model = two_towers(text, image, dimension=24)
    model.save_pretrained(str(directory / "model"), create_model_card=False)
    return directory / "model"
