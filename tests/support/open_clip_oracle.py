"""What open_clip itself computes, where it and timm are installed, in a process of its own.

open_clip imports torchvision, of which its networks need nothing: a stand-in takes its place.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

OPEN_CLIP_IS_ABSENT = importlib.util.find_spec("open_clip") is None

_STUBS = """
import importlib.machinery, json, sys, types

class Absent(type):
    def __getattr__(cls, name):
        return absent(name)

def absent(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent(name, (), {})

for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional",
             "torchvision.ops", "torchvision.ops.misc", "torchvision.models",
             "torchvision.models.feature_extraction", "torchvision.datasets",
             "torchvision.utils", "torchvision.transforms.transforms"):
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    module.__path__ = []
    module.__getattr__ = absent
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
"""

_FEATURES = """
import torch, timm
from functools import partial
from safetensors.torch import save_file
from open_clip.model import CLIP, CustomTextCLIP

folder, custom_text, shrunk = sys.argv[1], sys.argv[2] == "True", json.loads(sys.argv[3])
config = json.load(open(f"{folder}/open_clip_config.json"))["model_cfg"]
config = {name: value for name, value in config.items() if name != "custom_text"}
timm.create_model = partial(timm.create_model, **shrunk)
torch.manual_seed(0)
model = (CustomTextCLIP if custom_text else CLIP)(**config).eval()
for name, one in model.named_parameters():
    if name.endswith("gamma"):
        torch.nn.init.normal_(one, 0.0, 0.5)
    elif one.ndim == 1 or "embed" in name or "latent" in name:
        torch.nn.init.normal_(one, 1.0 if name.endswith("weight") else 0.0, 0.3)
    elif one.ndim > 1 and "trunk" in name:
        torch.nn.init.normal_(one, 0.0, one[0].numel() ** -0.5)
for name, one in model.named_buffers():  # or folding would change nothing
    if name.endswith("running_mean"):
        torch.nn.init.normal_(one, 0.0, 0.3)
    elif name.endswith("running_var"):
        torch.nn.init.uniform_(one, 0.5, 2.0)
saved = {name: one.clone().contiguous() for name, one in model.state_dict().items()}
save_file(saved, f"{folder}/open_clip_model.safetensors")
inputs = torch.load(f"{folder}/inputs.pt", weights_only=True)
with torch.no_grad():
    save_file({"texts": model.encode_text(inputs["ids"]).contiguous(),
               "images": model.encode_image(inputs["pixels"]).contiguous()},
              f"{folder}/features.safetensors")
"""

_SHAPES = """
import torch
from pathlib import Path
import open_clip.model_configs as _
from open_clip.model import CustomTextCLIP

known = {}
with torch.device("meta"):
    for path in sorted(Path(list(_.__path__)[0]).glob("MobileCLIP*.json")):
        config = json.loads(path.read_text())
        asked = {name: value for name, value in config.items() if name != "custom_text"}
        tensors = CustomTextCLIP(**asked).state_dict().items()
        shapes = {name: list(one.shape) for name, one in tensors}
        known[path.stem] = {"config": config, "shapes": shapes}
json.dump(known, open(sys.argv[1], "w"))
"""


def open_clip_features(
    source: Path,
    ids: Tensor,
    pixels: Tensor,
    *,
    custom_text: bool,
    shrunk: dict[str, Any] | None = None,
) -> dict[str, Tensor]:
    """Fill in random weights for a description, and embed with them.

    Args:
        source: Has ``open_clip_config.json``, and is given the weights.
        ids: Tokens of texts.
        pixels: Of pictures.
        custom_text: Whether it is open_clip's ``CustomTextCLIP``, or its ``CLIP``.
        shrunk: Settings of timm's picture tower, in place of those of its name.

    Returns:
        ``texts`` and ``images``, not normalised.
    """
    torch.save({"ids": ids, "pixels": pixels}, source / "inputs.pt")
    _run(_FEATURES, str(source), str(custom_text), json.dumps(shrunk or {}))
    return load_file(source / "features.safetensors")


def mobile_clip_shapes(folder: Path) -> dict[str, Any]:
    """By open_clip's names of MobileCLIPs, each ``config`` and the ``shapes`` of its tensors."""
    _run(_SHAPES, str(folder / "shapes.json"))
    known: dict[str, Any] = json.loads((folder / "shapes.json").read_text("utf-8"))
    return known


def _run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-c", _STUBS + program, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
