"""Encoders that onnxruntime runs: no torch, transformers or sentence-transformers is imported."""

from typing import TYPE_CHECKING

from unisem.common.lazy import lazy_names

if TYPE_CHECKING:
    from unisem.encoders.onnx.encoder import OnnxEncoder as OnnxEncoder
    from unisem.encoders.onnx.export import Export as Export
    from unisem.encoders.onnx.export import export_onnx as export_onnx

__getattr__, __dir__, __all__ = lazy_names(__name__)
