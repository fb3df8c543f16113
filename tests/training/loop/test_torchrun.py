"""`unisem train` as `torchrun` starts it, ended by Ctrl-C, and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.support import assert_same_weights, coloured_pairs, weights
from unisem.training.loop.checkpoints import checkpoints

_PATIENCE = 300  # seconds


@pytest.mark.slow
def test_ctrl_c_ends_every_process_and_the_run_goes_on_to_the_same_weights(
    tiny: Path, tmp_path: Path
) -> None:
    table = captions(tmp_path / "data")
    whole = start(table, tiny, tmp_path / "whole")
    assert whole.wait(timeout=_PATIENCE) == 0

    cut = start(table, tiny, tmp_path / "cut")
    places = tmp_path / "cut.training" / "checkpoints"
    waited_until = time.monotonic() + _PATIENCE
    while not (places.is_dir() and checkpoints(places)):
        assert cut.poll() is None
        assert time.monotonic() < waited_until
        time.sleep(0.05)
    os.killpg(cut.pid, signal.SIGINT)  # to all of the terminal's processes, as Ctrl-C goes
    try:
        assert cut.wait(timeout=_PATIENCE) != 0
        with pytest.raises(ProcessLookupError):  # nobody is left
            os.killpg(cut.pid, 0)
    finally:
        if cut.returncode is None:
            os.killpg(cut.pid, signal.SIGKILL)
    assert checkpoints(places)
    assert not weights(tmp_path / "cut")

    assert start(table, tiny, tmp_path / "cut", "--resume").wait(timeout=_PATIENCE) == 0
    assert weights(tmp_path / "whole")
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def captions(folder: Path) -> Path:
    """A table of 20 captioned pictures, in the convention of open_clip."""
    rows = [
        {"filepath": pair.image.path.name, "title": pair.caption}
        for pair in coloured_pairs(folder, 20)
        if pair.image.path is not None
    ]
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def start(table: Path, encoder: Path, output: Path, *more: str) -> subprocess.Popen[bytes]:
    """Two processes that train, in a group of their own."""
    ours = ["-m", "unisem", "train", "--data", str(table), "--encoder", str(encoder)]
    ours += ["--output", str(output), "--epochs", "40", "--batch-size", "4"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*launch, *ours, *more],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
