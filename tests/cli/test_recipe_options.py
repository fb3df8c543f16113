"""A setting is written once, in its recipe: a new field is an option, whatever its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, make_dataclass
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from unisem.cli.app import application
from unisem.cli.recipe_options import recipe_options
from unisem.training import Augmentation, Recipe
from unisem.training.settings import Setting, check_settings, settings_of

Size = Literal["small", "large"]
Colour = Literal["red", "green", "blue"]


@dataclass(frozen=True)
class Frame:
    """Round the picture.

    Attributes:
        width: Of the frame.
    """

    width: Annotated[int, Setting("Frame", "PIXELS", least=1)] = 3


@dataclass(frozen=True)
class Paint:
    """A recipe with a setting of each type.

    Attributes:
        size: Of the picture.
        layers: Of paint, one above
            the other.
        gloss: How it shines. ``None``: as its colours do (see ``colours``).
        dry: Wait for each layer to dry.
        colours: What is on the palette. ``None``: what is there.
        steps: At these sizes.
        frame: What is round it.
        n: How many.
        matt: Of ``gloss``.
    """

    size: Annotated[Size, Setting("Picture")] = "small"
    layers: Annotated[int, Setting("Paint", "N", least=1, most=9)] = 2
    gloss: Annotated[float | None, Setting("Paint", "SHARE", option="--shine", above=0)] = None
    dry: Annotated[bool, Setting("Paint")] = False
    colours: Annotated[tuple[Colour, ...] | None, Setting("Paint", "COLOUR")] = None
    steps: Annotated[tuple[int, ...], Setting("Picture", "N,N …")] = (1,)
    frame: Frame | None = None
    n: Annotated[int, Setting("Picture", "N")] = 1
    matt: Annotated[float, Setting("Paint", needs=("gloss", None))] = 0.5
    given: int = 7

    def __post_init__(self) -> None:
        check_settings(self)


def program(recipe: type[Any], seen: list[Any]) -> Callable[[str], Any]:
    toy = typer.Typer()

    @toy.command()
    @recipe_options(recipe)
    def paint(*, wall: str = "north", recipe: Any) -> None:
        """Paint a picture."""
        seen.append((wall, recipe))

    return lambda arguments: CliRunner().invoke(toy, arguments.split(), env={"COLUMNS": "100"})


@pytest.mark.parametrize(
    ("options", "recipe"),
    [
        ("", Paint()),
        ("--size large", Paint(size="large")),
        ("--layers 4", Paint(layers=4)),
        ("--shine 0.5", Paint(gloss=0.5)),
        ("--shine 0.5 --matt 0.1", Paint(gloss=0.5, matt=0.1)),
        ("--dry", Paint(dry=True)),
        ("--colours red --colours blue", Paint(colours=("red", "blue"))),
        ("--colours none", Paint(colours=())),
        ("--steps 4,5", Paint(steps=(4, 5))),
        ("--width 2", Paint(frame=Frame(2))),
        ("-n 3", Paint(n=3)),
    ],
)
def test_options_make_the_recipe(options: str, recipe: Paint) -> None:
    seen: list[Any] = []
    result = program(Paint, seen)(f"--wall south {options}")
    assert result.exit_code == 0, result.output
    assert seen == [("south", recipe)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--size huge", "'huge' is not one of 'small', 'large'"),
        ("--layers 0", "'--layers': Input should be greater than or equal to 1"),
        ("--shine 0", "gloss must be above 0, not 0.0"),
        ("--colours pink", "'pink' is not one of 'red', 'green', 'blue', 'none'"),
        ("--steps few", "--steps takes numbers, as 256,128, not 'few'"),
        ("--width 0", "'--width': Input should be greater than or equal to 1"),
        ("--matt 0.1", "--matt goes with --shine"),
        ("--given 3", "No such option: --given"),
    ],
)
def test_what_a_setting_cannot_be_is_refused(options: str, says: str) -> None:
    result = program(Paint, [])(options)
    assert result.exit_code == 2
    assert says in " ".join(word for word in result.output.split() if word != "│")


def test_the_help_is_the_recipes_own() -> None:
    rows = [
        " ".join(row.strip("│ ").split()) for row in program(Paint, [])("--help").output.split("\n")
    ]
    printed = " ".join(rows)
    for words in (
        "--size <small|large> Of the picture. [default: small]",
        "--layers N [1<=x<=9] Of paint, one above the other. [default: 2]",
        "--shine SHARE How it shines. [default: (as its colours do (see --colours))]",
        "--dry <bool> Wait for each layer to dry.",
        "--width PIXELS [x>=1] Of the frame. [default: 3]",
        "-n N How many. [default: 1]",
        "Of --shine.",
    ):
        assert words in printed
    assert "What is on the palette. One of red, green, blue (may be repeated), or none." in printed
    assert sum("─ Picture ─" in row for row in rows) == 1


@pytest.mark.parametrize("hint", [bool, int, float | None, Size, tuple[int, ...]])
def test_a_field_more_is_an_option_more(hint: Any) -> None:
    described = make_dataclass(
        "Described",
        [("added", Annotated[hint, Setting("Added")], False)],
        bases=(Paint,),
        frozen=True,
        namespace={"__doc__": f"{Paint.__doc__}    added: What was added."},
    )
    before, after = (program(recipe, [])("--help").output for recipe in (Paint, described))
    assert "--added" not in before
    assert "--added" in after
    assert "What was added." in after


@pytest.mark.parametrize("recipe", [Recipe, Augmentation])
def test_every_field_is_an_option_of_train_that_says_what_it_means(recipe: type[Any]) -> None:
    command: Any = get_command(application())
    options = {option.name: option for option in command.commands["train"].params}
    for name, (_, known) in settings_of(recipe).items():
        assert len(options[name].help) > 5
        assert options[name].rich_help_panel == known.subject
    assert {field.name for field in fields(recipe)} - options.keys() <= {"augmentation"}
