"""One process trains on one device, however many it sees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformerTrainingArguments
from transformers.training_args import ParallelMode

from unisem.errors import TrainingError
from unisem.pairs import PairDataset
from unisem.training import Recipe, train_encoder
from unisem.training.loop.environment import check_device, check_sharding
from unisem.training.loop.trainer import PairTrainer


def test_several_devices_neither_wrap_the_model_nor_enlarge_batches(
    tiny: Path, pairs: PairDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arguments count eight, as transformers does for a process that sees eight GPUs."""

    def check(self: PairTrainer, **options: object) -> None:
        plain = SentenceTransformerTrainingArguments(
            str(tmp_path), per_device_train_batch_size=6, use_cpu=True, report_to=[]
        )
        for arguments in (self.args, plain):
            arguments._n_gpu = 8
        assert plain.parallel_mode is ParallelMode.NOT_DISTRIBUTED
        assert plain.train_batch_size == 48
        assert self.args.parallel_mode is ParallelMode.NOT_PARALLEL
        assert self.args.train_batch_size == 6
        assert self._wrap_model(self.model) is self.model
        raise KeyboardInterrupt

    monkeypatch.setattr(PairTrainer, "train", check)
    with pytest.raises(KeyboardInterrupt):
        train_encoder(str(tiny), pairs, tmp_path / "out", recipe=Recipe(batch_size=6))


def test_another_gpu_than_the_first_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would move the model to the first."""
    for name in ("cpu", "cuda", "cuda:0", "mps"):
        check_device(torch.device(name), "bfloat16")
    with pytest.raises(TrainingError, match=r"is on cuda:2, .* CUDA_VISIBLE_DEVICES=2"):
        check_device(torch.device("cuda:2"), "float32")
    monkeypatch.setenv("WORLD_SIZE", "4")
    check_device(torch.device("cuda:2"), "float32")


def test_a_model_is_divided_among_several_processes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    check_sharding(False)
    with pytest.raises(TrainingError, match="several processes: start them with torchrun"):
        check_sharding(True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_sharding(True)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingError, match=r"leave that out .* and pass --sharded"):
        check_sharding(True)
