"""Spaces that may only be read, that have gone, or whose names the locale does not know."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.processes import script
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.errors import StoreError


def filled(path: Path, kind: str = "flat") -> Path:
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        space.add([Record(id=f"a{n}", text=f"a{n}") for n in range(300)])
        space.compact(kind)  # type: ignore[arg-type]
    return path


def without_rights() -> list[str]:
    """A prefix under which even root obeys permissions; skips where there is none."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root obeys permissions only without its capabilities; needs setpriv")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


@pytest.fixture(params=["flat", "hnsw"])
def read_only(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = filled(tmp_path / "s.unisem", request.param)
    files = [path, *sorted(path.rglob("*"))]
    for file in files:
        file.chmod(0o555 if file.is_dir() else 0o444)
    yield path
    for file in files:
        file.chmod(0o755 if file.is_dir() else 0o644)


def test_a_closed_space_may_be_searched_and_exported_without_the_right_to_write(
    read_only: Path,
) -> None:
    before = sorted(file.name for file in read_only.iterdir())
    answer = script(
        """
        from unisem.exchange import export_space
        with opened(sys.argv[1]) as space:
            names = [f"a{n}" for n in range(0, 300, 30)]
            print(missed(space, names), space.search("a7", k=1, mode="keyword")[0].record.id)
            print(len(space), len(list(space.store.select())), space.store.index_kind)
            for write in (lambda: space.add(texts("n", 1)), lambda: space.delete(["a1"]),
                          space.compact):
                try:
                    write()
                    print("acknowledged")
                except UniSemError:
                    print("refused")
        print(export_space(sys.argv[1], sys.argv[2]).records)
        """,
        read_only,
        read_only.with_name("export"),
        prefix=without_rights(),
    )
    kind = answer.split()[4]
    assert answer.split() == ["[]", "a7", "300", "300", kind, *["refused"] * 3, "300"]
    assert kind in ("flat", "hnsw")
    assert sorted(file.name for file in read_only.iterdir()) == before


def test_a_space_that_was_not_closed_is_not_read_without_its_log(tmp_path: Path) -> None:
    path = tmp_path / "s.unisem"
    script(
        """
        space = opened(sys.argv[1])
        space.add(texts("a", 5))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
        killed=True,
    )
    (path / "catalog.sqlite-shm").unlink()
    path.chmod(0o555)
    try:
        answer = script(
            """
            try:
                with opened(sys.argv[1]) as space:
                    print(len(space), missed(space, ["a1"]))
            except UniSemError as error:
                print("was not closed" in str(error))
            """,
            path,
            prefix=without_rights(),
        )
    finally:
        path.chmod(0o755)
    assert answer in ("True", "5 []")
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        assert len(space) == 5


@pytest.mark.parametrize("then", ["gone", "replaced", "catalogue gone"])
@pytest.mark.parametrize("written", [False, True])
def test_nothing_is_acknowledged_in_a_directory_that_has_gone(
    tmp_path: Path, then: str, written: bool
) -> None:
    path = filled(tmp_path / "s.unisem")
    space = SemanticSpace.open(path, encoder=ToyEncoder())
    if written:
        space.add([Record(id="w", text="w")])
    if then == "catalogue gone":
        (path / "catalog.sqlite").unlink()
    else:
        shutil.rmtree(path)
    if then == "replaced":
        filled(path)
    for write in (
        lambda: space.add([Record(id="n", text="n")]),
        lambda: space.delete(["a1"]),
        lambda: space.update({"a1": {"x": 1}}),
        space.compact,
    ):
        with pytest.raises(StoreError):
            write()
    if written:
        with pytest.raises(StoreError, match="removed or replaced"):
            space.close()
    else:
        with suppress(StoreError):  # it was the writer, if the lock could be taken
            space.close()
    space.close()  # safe to call twice
    if then == "replaced":
        with SemanticSpace.open(path, encoder=ToyEncoder()) as again:
            assert len(again) == 300


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf_pq"])
@pytest.mark.parametrize("utf8", ["0", "1"])
def test_an_index_is_used_under_a_name_that_the_locale_does_not_know(
    tmp_path: Path, kind: str, utf8: str
) -> None:
    path = filled(tmp_path / "写真.unisem", kind)
    before = {file.name: file.stat().st_mtime_ns for file in path.glob("vectors*")}
    answer = script(
        """
        said = []
        class Keep(logging.Handler):
            def emit(self, record): said.append(record.getMessage())
        logging.getLogger().addHandler(Keep(logging.WARNING))
        name = next(n for n in os.listdir(sys.argv[1]) if n.endswith(".unisem"))
        with opened(Path(sys.argv[1], name)) as space:
            print(missed(space, ["a7"]), len(said), space.store.index_kind)
            space.add(texts("b", 1))
            space.compact(sys.argv[2])
        """,
        tmp_path,
        kind,
        env={"LC_ALL": "C", "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0"},
    )
    assert answer == f"[] 0 {kind}"
    assert {file.name: file.stat().st_mtime_ns for file in path.glob("vectors*")} != before
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        assert len(space) == 301
