"""PDFium in a process of its own: ended when it takes too long or too much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hostile_pdfs import (
    halved_titles,
    many_rectangles,
    nested_forms,
    nested_patterns,
    page,
    spelled,
    words,
)
from tests.support.manuals import manual
from tests.support.processes import script
from unisem.common.limits import COUNTS_WORK, OVERTIME, limit_memory
from unisem.common.process_apart import ProcessApart
from unisem.common.skipped import Skipped
from unisem.errors import DocumentError, ImageError
from unisem.images.region import Region
from unisem.pdfium.pdf_file import PDFIUM, PdfFile
from unisem.readers.documents.elements import Element, Source
from unisem.readers.documents.pdf import PDF


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNISEM_PDF_SECONDS", "1")


def elements(data: bytes) -> list[Element | Skipped]:
    return list(PDF.elements(data, Source(Path("/there/x.pdf"), Path("/there"))))


def says(data: bytes, name: str = "x.pdf") -> str:
    """The first line of the first page."""
    return PdfFile(data, name).page(1).lines[0].text


@pytest.mark.usefixtures("impatient")
def test_a_page_that_never_ends_is_named_and_the_others_are_read() -> None:
    with pytest.raises(DocumentError, match=r"x\.pdf: page 1 is not read.*longer than 1 s; UNISEM"):
        elements(nested_forms())
    found = elements(nested_forms(kids=(15, 3, 15)))
    assert [item.text for item in found if isinstance(item, Element)] == ["Page one", "Page one"]
    (skipped,) = (item for item in found if isinstance(item, Skipped))
    assert skipped.name == "/there/x.pdf"
    assert skipped.reason.startswith("page 2 is not read, as it takes PDFium longer than 1 s")


@pytest.mark.usefixtures("impatient")
def test_a_picture_that_is_never_finished_is_an_error_and_after_three_it_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(3):
        with pytest.raises(ImageError, match="longer than 1 s"):
            Region(page=1).render(nested_patterns(), "x.pdf")
    with monkeypatch.context() as nothing_starts:
        nothing_starts.setattr(PDFIUM, "_started", None)
        with pytest.raises(ImageError, match="left alone, as PDFium was ended over it 3 times"):
            Region(page=1).render(nested_patterns(), "x.pdf")
    assert Region(page=1).render(manual(), "m.pdf").startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_document_of_pages_that_never_end_costs_three_of_them() -> None:
    with pytest.raises(DocumentError) as caught:
        elements(nested_forms(kids=(3,) * 5_000))
    assert "pages 1 to 3 are not read" in str(caught.value)
    assert "pages 4 to 5000 are not read, as the document has taken too long" in str(caught.value)


@pytest.mark.skipif(not COUNTS_WORK, reason="this system has the clock only")
@pytest.mark.parametrize(
    ("limits", "work", "status"),
    [
        ("seconds=0.2, clock=100", "time.sleep(0.5)", 7),
        ("seconds=0.2, clock=100", "while True: pass", OVERTIME),
        ("seconds=100, clock=0.2", "time.sleep(100)", 1),
    ],
)
def test_waiting_is_no_work_and_ends_nothing_before_the_clock_does(
    limits: str, work: str, status: int
) -> None:
    program = f"import time; from unisem.common.limits import limited\nwith limited({limits}):"
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}\n    {work}\ntime.sleep(0.3); raise SystemExit(7)"],
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    assert ran.returncode == status


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of memory is the system's")
def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unisem.common.process_apart.MEMORY", 150 << 20)
    PDFIUM.end()
    with pytest.raises(ImageError, match="takes more than 150 MiB of memory"):
        says(many_rectangles(600_000))  # which take far more
    monkeypatch.undo()
    PDFIUM.end()
    assert says(many_rectangles(1_000)) == "A million things"


def test_a_limit_that_the_system_refuses_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    limits: dict[int, tuple[int, int]] = {}

    def set_limit(which: int, values: tuple[int, int]) -> None:
        if which == resource.RLIMIT_AS:
            raise ValueError("not allowed to raise maximum limit")
        limits[which] = values

    monkeypatch.setattr(resource, "setrlimit", set_limit)
    limit_memory(1 << 30)
    assert limits == {resource.RLIMIT_CORE: (0, 0)}


def test_half_a_letter_in_a_title_or_a_label_costs_that_one() -> None:
    pdf = PdfFile(halved_titles(), "x.pdf")
    assert pdf.outline() == [(1, 1, "Whole")]
    found = pdf.page(1)
    assert (found.label, found.lines[0].text) == (None, "Under a chapter")


def test_a_table_of_contents_that_cannot_be_read_is_told_and_the_text_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slowly(pdf: PdfFile) -> list[tuple[int, int, str]]:
        raise ImageError("x.pdf", "takes PDFium longer than 1 s")

    monkeypatch.setattr(PdfFile, "outline", slowly)
    skipped, element = elements(page(words(b"Still here")))
    why = "its table of contents is not used, as it takes PDFium longer than 1 s"
    assert skipped == Skipped("/there/x.pdf", why)
    assert isinstance(element, Element)
    assert element.text == "Still here"


def test_letters_of_two_units_are_whole_and_half_a_one_is_a_question_mark() -> None:
    units = {
        ord("a"): b"D842DFB7",
        ord("b"): b"D83DDE00",
        ord("c"): b"D835DC65",
        ord("h"): b"D842",
        ord("l"): b"DFB7",
        ord("p"): b"DB80DC00",  # of private use: nobody knows what it is
    }
    assert says(spelled(b"abc xay", units)) == "𠮷😀𝑥 x𠮷y"
    assert says(spelled(b"hx lx hhl xh", units)) == "\ufffdx \ufffdx \ufffd𠮷 x\ufffd"
    assert says(spelled(b"xpx", units)) == "x x"


@pytest.mark.parametrize("said", ["soon", "-1", "0", "nan", "inf"])
def test_the_setting_is_checked(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("UNISEM_PDF_SECONDS", said)
    with pytest.raises(ImageError, match=f"UNISEM_PDF_SECONDS must be .* not '{said}'"):
        says(manual())


def test_threads_take_turns() -> None:
    files = [page(words(b"File number %d" % number)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(says, files * 5))
    assert found == [f"File number {number}" for number in range(8)] * 5


def test_a_process_that_was_ended_by_others_is_started_again() -> None:
    assert says(page(words(b"Before"))) == "Before"
    PDFIUM.end()
    assert says(page(words(b"After"))) == "After"


def test_a_frozen_program_is_not_started_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    process = ProcessApart("unisem.pdfium.worker", "PDFium", "UNISEM_PDF_SECONDS")
    with pytest.raises(ImageError, match="a frozen program cannot start"):
        process.ask(manual(), "", "x.pdf", "pages")


def test_a_script_without_a_guard_is_not_run_again_and_nothing_here_is_imported(
    tmp_path: Path,
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a file of a stranger was imported')")
    (tmp_path / "x.pdf").write_bytes(manual())
    (tmp_path / "scripts").mkdir()
    program = tmp_path / "scripts" / "program.py"
    program.write_text(
        "from pathlib import Path\n"
        "from unisem.pdfium.pdf_file import PdfFile\n"
        "print('once', PdfFile(Path('x.pdf').read_bytes(), 'x.pdf').pages)\n"
    )
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("once 2\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_starts_its_own_and_leaves_its_parents_alone() -> None:
    said = script(
        """
        from tests.support.manuals import manual
        from unisem.pdfium.pdf_file import PDFIUM, PdfFile
        data = manual()
        def first():
            return PdfFile(data, "x.pdf").page(1).lines[1].text
        assert first()
        mine = PDFIUM._process.pid
        reading = threading.Thread(target=lambda: [first() for _ in range(50)])
        reading.start()
        child = os.fork()
        if child == 0:
            assert first() and PDFIUM._process.pid != mine
            PDFIUM.end()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        reading.join()
        assert first() and PDFIUM._process.pid == mine
        print("well")
        """
    )
    assert said.strip() == "well"


_HANGS = """
import sys
from tests.support.hostile_pdfs import nested_forms
from unisem.pdfium.pdf_file import PDFIUM, PdfFile
pdf = PdfFile(nested_forms(), "x.pdf")
print(PDFIUM._process.pid, flush=True)
pdf.page(1)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whoever_waits_may_be_ended_and_leaves_no_orphan(how: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", _HANGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"UNISEM_PDF_SECONDS": "4"},
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert program.stdout is not None
    worker = int(program.stdout.readline())
    time.sleep(0.3)  # so that it waits
    os.killpg(program.pid, how)
    assert program.wait(60) == -how
    program.stdout.close()
    patience = time.monotonic() + 100  # it works for 4 seconds, on a busy machine
    while _lives(worker):
        assert time.monotonic() < patience, "PDFium's process is an orphan"
        time.sleep(0.05)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
