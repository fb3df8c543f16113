"""`render_page`: one HTML file that needs nothing else, from a template."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def render_page(package: str, template: str, **parts: Any) -> str:
    """Fill in a template of a package; what is filled in is text, never markup.

    Args:
        package: Where the template lies.
        template: Its file's name.
        **parts: The template's variables; one that is missing is an error.
    """
    from jinja2 import Environment, StrictUndefined

    # Autoescape everywhere: queries, captions and file names may come from anybody.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (files(package) / template).read_text(encoding="utf-8")
    return environment.from_string(text).render(**parts)
