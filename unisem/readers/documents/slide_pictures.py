"""`slide_pictures`: what a presentation's slides look like, where LibreOffice is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from unisem.common.skipped import Skipped
from unisem.errors import DocumentError, ImageError
from unisem.images.reference import ImageRef
from unisem.images.region import Region
from unisem.pdfium.pdf_file import PdfFile
from unisem.readers.documents.office_package import OfficePackage

PROGRAMS = ("soffice", "libreoffice")
"""Names that LibreOffice has on the ``PATH``."""
SECONDS = 180
"""That LibreOffice may take for a presentation."""
MOST_RENDERED = 500
"""Slides of a presentation that are rendered."""

_DPI = 96  # a slide is 10 to 13 inches wide
_LARGEST_PDF = 256 * 1024 * 1024
# A profile of its own: macros off, and nothing that a document links to is loaded.
_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop></item>
</oor:items>
"""


def slide_pictures(
    package: OfficePackage, shown: Sequence[int], slides: int
) -> dict[int, ImageRef] | Skipped:
    """Render slides to PNG.

    LibreOffice gets a copy without anything that leads out of it or that can be run, in a private
    folder and a profile of its own, and is ended when its time is over.

    Args:
        package: The presentation.
        shown: The numbers of the slides that are not hidden.
        slides: How many there are in all.

    Returns:
        Pictures by the slides' numbers, none where LibreOffice is not installed; or why there are
        none although it is.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None or not shown:
        return {}
    name = str(package.source.path)
    with TemporaryDirectory(prefix="unisem-") as folder:
        try:
            pdf = _converted(program, package.without_links(), Path(folder))
        except (DocumentError, OSError, subprocess.SubprocessError) as error:
            what = f"its slides cannot be rendered ({error}); their pictures are read"
            return Skipped(name, what, again=isinstance(error, subprocess.TimeoutExpired))
    try:
        rendered = PdfFile(pdf, name)
        if rendered.pages not in (len(shown), slides):
            came = f"{rendered.pages} came of {len(shown)}"
            return Skipped(name, f"its slides are not rendered: {came}")
        numbers = shown if rendered.pages == len(shown) else range(1, slides + 1)
        return {
            number: ImageRef(data=Region(page=page, dpi=_DPI).render_from(rendered))
            for page, number in enumerate(numbers[:MOST_RENDERED], 1)
            if number in shown
        }
    except ImageError as error:
        return Skipped(name, f"its slides cannot be rendered ({error})", error.again)


def _converted(program: str, data: bytes, folder: Path) -> bytes:
    """A presentation as PDF.

    Raises:
        DocumentError: LibreOffice makes none.
        OSError: It cannot be started.
        subprocess.SubprocessError: It takes too long.
    """
    (folder / "profile" / "user").mkdir(parents=True)
    (folder / "profile" / "user" / "registrymodifications.xcu").write_text(_SETTINGS)
    (folder / "slides.pptx").write_bytes(data)
    command = [
        program,
        f"-env:UserInstallation={(folder / 'profile').as_uri()}",
        *("--headless", "--norestore", "--nologo", "--nodefault", "--nolockcheck"),
        *("--convert-to", "pdf", "--outdir", str(folder), str(folder / "slides.pptx")),
    ]
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "ftp_proxy"), "http://127.0.0.1:9")
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | proxies | {"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(SECONDS)
    finally:
        _end(process)
    made = folder / "slides.pdf"
    if not made.is_file():
        raise DocumentError(f"LibreOffice made no PDF (status {process.returncode})")
    if made.stat().st_size > _LARGEST_PDF:
        raise DocumentError("LibreOffice made a PDF that is too large")
    return made.read_bytes()


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
