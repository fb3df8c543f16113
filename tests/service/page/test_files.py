"""The page's files: how they are served, and that nothing in them could run what a caption says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tools.page_scripts import NOTE, digest
from unisem import SemanticSpace
from unisem.service import page
from unisem.service.http.app import create_app
from unisem.service.page import PAGE_POLICY, page_router
from unisem.service.principals import Tokens

HOME = Path(page.__file__).parent
FILES = sorted(path.name for path in (HOME / "files").iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
SOURCES = sorted((HOME / "src").glob("*.ts"))


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI(redirect_slashes=False)
    app.include_router(page_router())
    with TestClient(app) as opened:
        yield opened


def test_the_scripts_are_those_of_the_sources(tmp_path: Path) -> None:
    remedy = "npm ci --prefix tests/service/page && python -m tools.page_scripts"
    assert NOTE.read_text("ascii").strip() == digest(), remedy
    copytree(HOME, tmp_path / "page")
    assert digest(tmp_path / "page") == digest()
    for changed in ("src/main.ts", "src/tsconfig.json", "files/main.js"):
        path = tmp_path / "page" / changed
        path.write_bytes(before := path.read_bytes() + b" ")
        assert digest(tmp_path / "page") != digest()
        path.write_bytes(before[:-1])


def test_the_page_is_at_the_root_and_says_what_may_run(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == PAGE_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text == (HOME / "files" / "index.html").read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_with_its_type(client: TestClient, name: str) -> None:
    kinds = {
        "js": "text/javascript",
        "css": "text/css",
        "svg": "image/svg+xml",
        "html": "text/html",
    }
    answer = client.get(f"/page/{name}")
    assert answer.content == (HOME / "files" / name).read_bytes()
    assert answer.headers["content-type"].startswith(kinds[name.rpartition(".")[2]])
    assert answer.headers["content-security-policy"] == PAGE_POLICY


def test_what_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/page/page.css")
    again = client.get("/page/page.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/page/page.css", headers={"If-None-Match": '"another"'})
    assert other.content == first.content
    assert client.head("/").headers["content-length"] == str(len(client.get("/").content))


@pytest.mark.parametrize(
    "name",
    [
        "app.ts",
        "../routes.py",
        "..%2Froutes.py",
        "%2e%2e/routes.py",
        "page.css/",
        ".",
        "",
        "page.css%00",
    ],
)
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/page/{name}", follow_redirects=False)
    assert answer.status_code == 404


def test_the_page_needs_no_token_and_whoever_has_none_sees_nothing_else(
    card_space: SemanticSpace,
) -> None:
    with TestClient(create_app({"cards": card_space}, tokens=Tokens({}))) as client:
        for path in ("/", "/page/main.js", "/page/page.css"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-security-policy"] == PAGE_POLICY
            assert answer.headers["x-frame-options"] == "DENY"
        assert client.get("/v1/spaces").status_code == 401


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert "unsafe" not in PAGE_POLICY
    rules = dict(rule.split(" ", 1) for rule in PAGE_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "*" not in PAGE_POLICY
    assert "http" not in PAGE_POLICY


def test_the_html_has_nothing_inline_and_names_files_that_are_there() -> None:
    html = (HOME / "files" / "index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    named = re.findall(r'(?:src|href)="(?!#)([^"]+)"', html)
    assert {name.removeprefix("page/") for name in named} - {"./"} <= set(FILES)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", html)


def test_every_script_is_asked_for_at_once() -> None:
    html = (HOME / "files" / "index.html").read_text("utf-8")
    asked = re.findall(
        r'<(?:link rel="modulepreload" href|script type="module" src)="page/(.+?)"', html
    )
    code = [(HOME / "files" / name).read_text("utf-8") for name in SCRIPTS]
    imported = {name for text in code for name in re.findall(r'from "\./([^"]+)"', text)}
    assert sorted(asked) == sorted({"main.js", *imported})


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_make_no_html_and_load_nothing_from_elsewhere(name: str) -> None:
    code = (HOME / "files" / name).read_text("utf-8")
    code = code.replace('"http://www.w3.org/2000/svg"', "")  # a name, which nobody fetches
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "new Function", "DOMParser", "createContextualFragment", "srcdoc", "localStorage",
                 "http://", "https://"):  # fmt: skip
        assert sink not in code, sink
    imported = re.findall(r'from "([^"]+)"', code)
    assert {f"./{script}" for script in SCRIPTS} >= set(imported)


def test_every_source_has_its_script() -> None:
    assert [path.stem for path in SOURCES] == [name.removesuffix(".js") for name in SCRIPTS]
