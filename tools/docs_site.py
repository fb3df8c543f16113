"""What the docs' site needs beside its pages: notebooks as pages, doctests as code.

MkDocs calls `on_files` for each build, mkdocstrings the extension for each docstring.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page in the place of each notebook."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        notebook = json.loads(Path(str(file.abs_src_path)).read_text(encoding="utf-8"))
        files.remove(file)
        name = file.src_uri.removesuffix(".ipynb") + ".md"
        files.append(File.generated(config, name, content=page_of(notebook)))
    return files


def page_of(notebook: dict[str, Any]) -> str:
    """A notebook as Markdown: its words, its code, its texts and pictures."""
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            shown = output.get("data", {})
            if "image/png" in shown:
                data = "".join(shown["image/png"]).strip().replace("\n", "")
                parts.append(f'<img alt="what the cell shows" src="data:image/png;base64,{data}">')
            elif text := "".join(output.get("text") or shown.get("text/plain", "")):
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


class Doctests(Extension):
    """Puts doctests into fences, so that they are read as code and not as Markdown."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Fence the doctests of one docstring."""
        if obj.docstring is not None:
            text = obj.docstring.value + "\n"
            text = re.sub(r"(?m)((?:^ *>>> .*\n(?:^ *\S.*\n)*)+)", r"```pycon\n\1```\n", text)
            obj.docstring.value = text.rstrip()
