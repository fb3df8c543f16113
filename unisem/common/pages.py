"""`render_page`: one HTML file that needs nothing else, from a template."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from unisem.common.printable import plain, shortened


def render_page(package: str, template: str, **parts: Any) -> str:
    """Fill in a template of a package; what is filled in is text, never markup.

    Templates have the filters `plain` and `shortened`, and what comes from strangers passes them.

    Args:
        package: Where the template lies.
        template: Its file's name; it may include others of the package.
        **parts: The template's variables; one that is missing is an error.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def text_of(name: str) -> str:
        return (files(package) / name).read_text(encoding="utf-8")

    # Autoescape everywhere: queries, captions and file names may come from anybody.
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(text_of),
    )
    environment.filters["plain"] = plain
    environment.filters["shortened"] = shortened
    return environment.get_template(template).render(**parts)
