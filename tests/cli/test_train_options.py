"""Every setting of a `Recipe` has an option of ``unisem train``, and reaches the run."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.support.pictures import noise
from unisem.encoders import Encoder
from unisem.errors import TrainingError
from unisem.training import Augmentation, Recipe
from unisem.training.run import trainable_encoder

OPTIONS: dict[str, dict[str, Any]] = {
    "--loss sigmoid": {"loss": "sigmoid"},
    "--temperature 0.1": {"temperature": 0.1},
    "--learned-temperature": {"learned_temperature": True},
    "--mask-above 0.9": {"mask_above": 0.9},
    "--loss triplet --margin 0.4": {"loss": "triplet", "margin": 0.4},
    "--loss triplet --mining hard": {"loss": "triplet", "mining": "hard"},
    "--dimensions 256,128": {"dimensions": (256, 128)},
    "--dimensions 64": {"dimensions": (64,)},
    "--adversary reversal --adversary-weight 0.3": {
        "adversary": "reversal",
        "adversary_weight": 0.3,
    },
    "--mini-batch-size 8": {"mini_batch_size": 8},
    "--hard-negatives 3": {"hard_negatives": 3},
    "--hard-negatives 2 --negative-share 0.8": {"hard_negatives": 2, "negative_share": 0.8},
    "--hard-negatives 2 --remine": {"hard_negatives": 2, "remine": True},
    "--guide mini": {"guide": "mini"},
    "--gradient-checkpointing": {"gradient_checkpointing": True},
    "--freeze text --freeze image-backbone": {"freeze": ("text", "image-backbone")},
    "--freeze none": {"freeze": ()},
    "--lora 4": {"lora": 4},
    "--unfreeze-every 0.5": {"unfreeze_every": 0.5},
    "--epochs 7": {"epochs": 7},
    "--batch-size 5": {"batch_size": 5},
    "--accumulate 2": {"accumulate": 2},
    "--learning-rate 0.002": {"learning_rate": 0.002},
    "--head-rate 0.003": {"head_rate": 0.003},
    "--text-tower-rate 2e-5": {"text_tower_rate": 2e-5},
    "--image-tower-rate 1e-5": {"image_tower_rate": 1e-5},
    "--loss-rate 0.1": {"loss_rate": 0.1},
    "--weight-decay 0": {"weight_decay": 0.0},
    "--warmup 0.2": {"warmup": 0.2},
    "--precision bfloat16": {"precision": "bfloat16"},
    "--crop 0.7": {"augmentation": Augmentation(crop=0.7)},
    "--flip 0.5": {"augmentation": Augmentation(crop=1.0, flip=0.5)},
    "--colour 0.2": {"augmentation": Augmentation(crop=1.0, colour=0.2)},
    "--crop 1 --flip 0.1 --colour 0.3": {"augmentation": Augmentation(1.0, 0.1, 0.3)},
    "--interpolate 0.5": {"interpolation": 0.5},
    "--late-interaction 64": {"late_interaction": 64},
    "--patience 2": {"patience": 2},
    "--patience 2 --validation 0.3": {"patience": 2, "validation": 0.3},
    "-k 5": {"k": 5},
    "--checkpoint-steps 50": {"checkpoint_steps": 50},
    "--seed 3": {"seed": 3},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        noise(number).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"caption {number}")
    return folder


@pytest.fixture(scope="module")
def start() -> Encoder:
    return trainable_encoder("mini")


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch, start: Encoder) -> list[Recipe]:
    """What `train_encoder` was given, in place of training; the start is loaded once."""
    found: list[Recipe] = []

    def record(*arguments: Any, recipe: Recipe, **options: Any) -> None:
        found.append(recipe)
        raise TrainingError("this is far enough")

    monkeypatch.setattr("unisem.training.train_encoder", record)
    monkeypatch.setattr("unisem.training.run.trainable_encoder", lambda name, forms: start)
    return found


@pytest.mark.parametrize("options", ["", *OPTIONS])
def test_an_option_changes_its_settings_and_no_other(
    run: Run, photos: Path, recipes: list[Recipe], tmp_path: Path, options: str
) -> None:
    result = run("train", "--data", photos, "--output", tmp_path / "o", *options.split())
    assert "this is far enough" in result.output, result.output
    assert recipes == [replace(Recipe(), **OPTIONS.get(options, {}))]


def test_every_setting_has_an_option() -> None:
    covered = {name for settings in OPTIONS.values() for name in settings}
    assert covered == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--flip 2", "flip is a probability, from 0 to 1, not 2.0"),
        ("--flip -0.5", "flip is a probability"),
        ("--colour 1", "colour must be from 0 to below 1, not 1.0"),
        ("--crop 0", "crop must be above 0"),
        ("--mask-above 3", "mask_above is a cosine, from -1 to 1, not 3.0"),
        ("--loss triplet --margin 0", "margin must be above 0"),
        ("--loss triplet --mining soft", "'soft' is not one of 'hard', 'semi-hard'"),
        ("--dimensions 64,many", "--dimensions takes numbers, as 256,128, not '64,many'"),
        ("--dimensions 0", "dimensions must be at least 1"),
        ("--patience 1 --validation 1", "validation must be between 0 and 1, not 1.0"),
        ("--warmup 1", "warmup must be from 0"),
        ("--margin 0.4", "--margin goes with --loss triplet"),
        ("--mining hard", "--mining goes with --loss triplet"),
        ("--loss triplet --learned-temperature", "--learned-temperature goes with --loss infonce"),
        ("--loss sigmoid --temperature 0.1", "--temperature goes with --loss infonce"),
        ("--loss sigmoid --mask-above 0.9", "--mask-above goes with --loss infonce"),
        ("--adversary-weight 0.3", "--adversary-weight goes with --adversary"),
        ("--loss sigmoid --late-interaction 64", "--late-interaction goes with --loss infonce"),
        ("--late-interaction 64 --hard-negatives 2", "hard_negatives is for one vector of each"),
        ("--validation 0.3", "--validation goes with --patience"),
        ("--remine", "--remine goes with --hard-negatives"),
        ("--hard-negatives 0 --negative-share 0.9", "--negative-share goes with --hard-negatives"),
    ],
)
def test_what_means_nothing_is_refused_before_a_picture_is_opened(
    run: Run, recipes: list[Recipe], tmp_path: Path, options: str, says: str
) -> None:
    result = run("train", "--data", tmp_path / "none", "--output", tmp_path / "o", *options.split())
    assert result.exit_code == 2, result.output
    words = [word for word in result.output.split() if word != "│"]
    assert says in " ".join(words)
    assert not recipes


def test_the_help_has_a_panel_per_subject(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    printed = run("train", "--help").output
    panels = [line.split("─ ")[1].split(" ─")[0] for line in printed.splitlines() if "╭─" in line]
    assert panels == [
        "Options",
        "How the encoder embeds",
        "Reading pairs",
        "Start from two networks",
        "Loss",
        "What is trained",
        "Random changes to pictures",
        "Steps",
        "Comparison, and stopping early",
        "Files beside the encoder",
    ]
