"""A space behind the service, and a browser that looks at its page."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.manuals import manual
from unisem import Record, SemanticSpace
from unisem.service.http.app import create_app
from unisem.service.principals import Tokens
from unisem.service.settings import ServiceSettings

GALLERY = Path(__file__).resolve().parents[3] / "examples" / "gallery"
_PICTURES = 60
PATIENCE = 120_000  # milliseconds; a busy machine is no failure

HOSTILE_ID = "evil/<img src=x onerror=window.pwned=1>?#%2F é"
HOSTILE = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script> a hostile caption"


def gallery_records() -> list[Record]:
    """Pictures of the gallery, with numbers, dates, lists and truth values to filter by."""
    rows = (GALLERY / "metadata.jsonl").read_text("utf-8").splitlines()[:_PICTURES]
    return [
        Record(
            id=row["file_name"],
            text=row["text"],
            image=GALLERY / row["file_name"],
            metadata={
                "category": ("animals", "others", "animals & more")[index % 3],
                "year": 1990 + index,
                "taken": f"2024-{index % 12 + 1:02d}-05" + ("T10:30:00" if index % 2 else ""),
                "tags": ["even" if index % 2 == 0 else "odd", f"third {index % 3}"],
                "shown": index % 4 == 0,
            },
        )
        for index, row in enumerate(map(json.loads, rows))
    ]


def hostile_records() -> list[Record]:
    """What somebody adds who would like the page to run something."""
    script = "javascript:window.pwned=1"
    metadata = {
        "<b>bold</b>": script,
        "category": "<img src=x onerror=window.pwned=1>",
        "link": script,
    }
    picture = GALLERY / "images" / "armadillo.png"
    return [
        Record(
            id=HOSTILE_ID,
            text=HOSTILE,
            image=picture,
            metadata=metadata,
            links={"<i>x</i>": "a text"},
        ),
        Record(
            id="a text",
            text="<script>window.pwned=1</script> and \u202egnirts desrever a",
            metadata=metadata,
        ),
    ]


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticSpace]:
    """Pictures, a manual with figures, and hostile records."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "manuals").mkdir()
    (folder / "manuals" / "machine.pdf").write_bytes(manual())
    with SemanticSpace.open(folder / "gallery.unisem", image_roots=[GALLERY, folder]) as space:
        space.add(gallery_records())
        assert not space.add_folder(folder / "manuals").skipped
        space.add(hostile_records())
        yield space


@contextmanager
def served(
    spaces: dict[str, SemanticSpace],
    settings: ServiceSettings | None = None,
    tokens: Tokens | None = None,
) -> Iterator[str]:
    """The address of a service that runs in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(spaces, settings, tokens=tokens)
        config = uvicorn.Config(app, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def address(gallery: SemanticSpace) -> Iterator[str]:
    """Where the gallery is served."""
    with served({"gallery": gallery}) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the system."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # it refuses to run as root with one
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that somebody looks at, and what went wrong meanwhile.

    Attributes:
        page: Playwright's.
        complaints: What the browser wrote on its console, errors that nobody caught, and
            requests for another place.
    """

    page: Page
    complaints: list[str]

    def settled(self) -> None:
        """Wait until the results are there, or what is wrong with them."""
        self.page.wait_for_selector("#results[aria-busy=false]")

    def go(self, url: str) -> None:
        self.page.goto(url)
        self.settled()

    def search(self, text: str) -> None:
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")
        self.page.wait_for_function("text => document.title.includes(text)", arg=text)
        self.settled()

    def ids(self) -> list[str]:
        """Ids of the results, in order."""
        links: list[str] = self.page.eval_on_selector_all(
            "#found .card .open", "all => all.map(a => new URL(a.href).searchParams.get('record'))"
        )
        return links

    def wait_for(self, expected: list[str]) -> None:
        """Wait until exactly these are the results."""
        try:
            self.page.wait_for_function(
                """expected => JSON.stringify([...document.querySelectorAll('#found .card .open')]
                .map(a => new URL(a.href).searchParams.get('record'))) === expected""",
                arg=json.dumps(expected, ensure_ascii=False, separators=(",", ":")),
                timeout=PATIENCE / 4,
            )
        except Exception:  # noqa: BLE001 - say what is there instead
            assert (self.ids() or self.page.inner_text("#results")) == expected

    def focused(self, script: str) -> Any:
        """What ``script`` says of the element ``at`` that has the focus."""
        return self.page.evaluate(
            f"(() => {{ const at = document.activeElement; return {script}; }})()"
        )


Visitor = Callable[..., Visit]


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Opens pages; afterwards the browser must have had nothing to complain about."""
    visits: list[Visit] = []

    def visit(
        url: str, *, width: int = 1280, height: int = 900, settle: bool = True, **options: Any
    ) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        made = Visit(page, [])
        visits.append(made)
        page.on(
            "console",
            lambda message: (
                made.complaints.append(message.text) if message.type == "error" else None
            ),
        )
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        origin = "/".join(url.split("/")[:3])
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((origin, "blob:", "data:"))
                else made.complaints.append(f"asked for {request.url}")
            ),
        )
        page.goto(url)
        if settle:
            made.settled()
        return made

    yield visit
    complaints = [complaint for each in visits for complaint in each.complaints]
    for each in visits:
        each.page.context.close()
    assert complaints == []
