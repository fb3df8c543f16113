"""Tiny random checkpoints of late interaction (ColBERT, ColPali) and of BLIP's matching."""

from __future__ import annotations

from pathlib import Path

from tests.support.networks import SIDE, SMALL, VISION, save_bert, save_vision, word_tokenizer

_SQUARE = {"height": SIDE, "width": SIDE}


def save_colbert(directory: Path) -> Path:
    """A BERT whose token vectors are projected, with marks before queries and documents."""
    import torch
    from sentence_transformers import MultiVectorEncoder

    network = save_bert(directory / "bert")
    torch.manual_seed(7)
    model = MultiVectorEncoder(str(network), prompts={"query": "word ", "document": "photo "})
    model.save_pretrained(str(directory / "colbert"))
    return directory / "colbert"


def save_two_towers_of_tokens(directory: Path) -> Path:
    """A BERT's words and a ViT's places, each with a projection into one space."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer

    torch.manual_seed(11)
    sides = {}
    networks = {
        "text": save_bert(directory / "bert"),
        "image": save_vision(directory / "vit", "ViT"),
    }
    for side, network in networks.items():
        tower = Transformer(
            str(network),
            modality_config={
                side: {"method": "forward", "method_output_name": "last_hidden_state"}
            },
            module_output_name="token_embeddings",
        )
        width, names = SMALL["hidden_size"], ("module_input_name", "module_output_name")
        places = dict.fromkeys(names, "token_embeddings")
        sides[side] = [tower, Dense(width, 12, activation_function=torch.nn.Identity(), **places)]
    router = Router(sides, route_mappings={(None, side): side for side in sides})
    modules = [router, Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules).save_pretrained(str(directory / "towers"))
    return directory / "towers"


def save_colpali(directory: Path) -> Path:
    """A ColPali as on the hub: patches of a SigLIP, read by a Gemma, projected."""
    import torch
    from transformers import (
        ColPaliConfig,
        ColPaliForRetrieval,
        ColPaliProcessor,
        GemmaConfig,
        PaliGemmaConfig,
        SiglipImageProcessorPil,
        SiglipVisionConfig,
    )

    torch.manual_seed(8)
    tokenizer = word_tokenizer(128, ("<image>",))
    tokenizer.add_special_tokens({"bos_token": "[CLS]"})
    images = SiglipImageProcessorPil(size=_SQUARE)
    images.image_seq_length = (SIDE // VISION["patch_size"]) ** 2
    processor = ColPaliProcessor(images, tokenizer)
    text = GemmaConfig(
        vocab_size=len(processor.tokenizer),
        head_dim=16,
        num_key_value_heads=2,
        initializer_range=0.3,
        **SMALL,
    )
    vision = SiglipVisionConfig(**VISION, initializer_range=0.3)
    inner = PaliGemmaConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        image_token_index=processor.image_token_id,
        projection_dim=SMALL["hidden_size"],
    )
    config = ColPaliConfig(vlm_config=inner.to_dict(), text_config=text.to_dict(), embedding_dim=16)
    ColPaliForRetrieval(config).save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


def save_blip(directory: Path) -> Path:
    """A BLIP that matches, as on the hub."""
    import torch
    from transformers import (
        BlipConfig,
        BlipForImageTextRetrieval,
        BlipImageProcessorPil,
        BlipProcessor,
    )

    torch.manual_seed(9)
    tokenizer = word_tokenizer(64)
    text = SMALL | {
        "vocab_size": len(tokenizer),
        "encoder_hidden_size": SMALL["hidden_size"],
        "max_position_embeddings": 64,
        "initializer_range": 0.5,
    }
    config = BlipConfig(
        text_config=text,
        vision_config=VISION | {"initializer_range": 0.3},
        image_text_hidden_size=8,
    )
    BlipForImageTextRetrieval(config).save_pretrained(directory)
    BlipProcessor(BlipImageProcessorPil(size=_SQUARE), tokenizer).save_pretrained(directory)
    return directory
