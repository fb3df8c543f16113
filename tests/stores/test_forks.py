"""A space that is open while its process forks: nothing acknowledged is lost, nothing hangs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import script
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.common.forks import is_undisturbed
from unisem.filters import Field
from unisem.stores.faiss.connection import Connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.unisem"


def check(path: Path, names: list[str]) -> None:
    """All of these are there and found, and nothing else."""
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        assert sorted(record.id for record in space.store.select()) == sorted(names)
        found = {name: [hit.record.id for hit in space.search(name, k=1)] for name in names}
        assert found == {name: [name] for name in names}


def test_what_a_child_adds_after_its_parents_close_is_stored(path: Path) -> None:
    answer = script(
        """
        space = opened(sys.argv[1])
        space.add(texts("a", 10))
        closed, waits = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(closed, 1)
            for record in texts("child", 20):
                space.add([record])
            space.close()
            print("told", flush=True)
            os._exit(0)
        space.close()
        os.write(waits, b"x")
        os.waitpid(pid, 0)
        """,
        path,
    )
    assert answer == "told"
    check(path, [f"a{n}" for n in range(10)] + [f"child{n}" for n in range(20)])


def test_a_child_is_refused_while_its_parent_writes(path: Path) -> None:
    """The parent's connection and lock stay as they were, also when the child ends or closes."""
    answer = script(
        """
        space = opened(sys.argv[1])
        space.add(texts("a", 3))
        def child():
            assert missed(space, ["a0", "a1", "a2"]) == []
            try:
                space.add(texts("child", 1))
            except UniSemError as error:
                assert "fork" in str(error), error
                space.close()
                raise
        print(in_a_child(child), in_a_child(space.close))
        space.add(texts("b", 3))
        other = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c",
            "import sys; from tests.support.toy import ToyEncoder; from unisem import *\\n"
            "from unisem.errors import StoreLockedError\\n"
            "space = SemanticSpace.open(sys.argv[1], encoder=ToyEncoder())\\n"
            "try: space.add([Record(id='x', text='x')])\\n"
            "except StoreLockedError: print('locked', flush=True)", sys.argv[1]])
        space.close()
        """,
        path,
    )
    assert answer.splitlines() in (["refused ok", "locked"], ["locked", "refused ok"])
    check(path, ["a0", "a1", "a2", "b0", "b1", "b2"])


def test_parent_and_child_that_add_at_once_see_all_that_was_acknowledged(path: Path) -> None:
    answer = script(
        """
        space = opened(sys.argv[1], store=FaissKind(durability="relaxed"))
        space.add(texts("a", 1))
        def work(prefix):
            told = []
            try:
                for record in texts(prefix, 200):
                    space.add([record])
                    told.append(record.id)
            except UniSemError:
                pass
            return told
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writes, json.dumps(work("c")).encode())
            finally:
                os._exit(0)
        os.close(writes)
        told = work("p")
        with os.fdopen(reads) as answers:
            told += json.loads(answers.read() or "[]")
        os.waitpid(pid, 0)
        print(json.dumps([told, missed(space, told)]))
        space.close()
        """,
        path,
    )
    told, missed = json.loads(answer)
    assert missed == []
    check(path, ["a0", *told])


def test_a_child_that_is_forked_while_threads_use_the_space_does_not_hang(path: Path) -> None:
    answer = script(
        """
        space = opened(sys.argv[1], store=FaissKind(durability="relaxed"))
        space.add(texts("a", 3000))
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                space.search("x", k=5)
                space.add(texts("b", 1))
                next(space.store.select())
        threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
        for thread in threads: thread.start()
        time.sleep(0.3)
        def child():
            assert missed(space, ["a1"]) == [] and space.get(["a2"]) != [None]
        print(json.dumps([in_a_child(child) for _ in range(6)]), flush=True)
        stop.set()
        for thread in threads: thread.join()
        space.close()
        """,
        path,
        seconds=180,
    )
    assert json.loads(answer) == ["ok"] * 6


def test_the_file_is_only_touched_where_no_fork_can_come_between(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks of SQLite and of the C library would stay locked in the child for ever."""
    unguarded: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(Connection, name)

        def call(connection: Connection, *arguments: Any) -> Any:
            if not is_undisturbed():
                unguarded.append(f"{name} {arguments[:1]}")
            return original(connection, *arguments)

        return call

    for name in ("execute", "executemany", "close"):
        monkeypatch.setattr(Connection, name, watched(name), raising=False)
    with SemanticSpace.open(path, encoder=ToyEncoder()) as space:
        for _ in range(3):  # so that removed records are folded away, too
            space.add(Record(id=f"a{n}", text=f"a{n}", metadata={"n": n}) for n in range(1100))
        space.delete(["a3"])
        space.search("a1", k=3, mode="hybrid", filter=Field("n") > 3)
        space.get(["a1"]), len(space), space.store.vectors(["a1"])
        space.store.update({"a1": {"n": 0}})
        assert len(list(space.store.select())) == len(list(space.store.embedded())) == 1099
        next(space.store.select()), next(space.store.embedded())
        space.compact("ivf_pq")
        space.search("a1", k=3)
        space.store.shrink()
    assert unguarded == []


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_workers_serve_what_their_parent_preloaded(path: Path, kind: str) -> None:
    """As under ``gunicorn --preload``: the parent opens and searches, its children answer."""
    answer = script(
        """
        with opened(sys.argv[1]) as space:
            space.add(texts("a", 2500))
            space.compact(sys.argv[2])
        space = opened(sys.argv[1])
        names = [f"a{n}" for n in range(0, 2500, 100)]
        assert missed(space, names) == []
        pids = []
        for _ in range(3):
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    threads = [threading.Thread(target=missed, args=(space, names)) for _ in "ab"]
                    for thread in threads: thread.start()
                    for thread in threads: thread.join()
                    code = len(missed(space, names))
                finally:
                    os._exit(code)
            pids.append(pid)
        print([os.waitpid(pid, 0)[1] for pid in pids], missed(space, names))
        """,
        path,
        kind,
        env={"OMP_NUM_THREADS": "2"},
    )
    assert answer == "[0, 0, 0] []"


def test_a_child_sees_what_its_parent_commits_later(path: Path) -> None:
    answer = script(
        """
        space = opened(sys.argv[1])
        space.add(texts("a", 5))
        ready, go = os.pipe()
        pid = os.fork()
        if not pid:
            os.read(ready, 1)
            os._exit(len(missed(space, ["a0", "b0"])) + 10 * (len(space) != 6))
        space.add(texts("b", 1))
        os.write(go, b"x")
        print(os.waitpid(pid, 0)[1])
        """,
        path,
    )
    assert answer == "0"


def test_a_reading_that_the_parent_began_is_refused_in_the_child(path: Path) -> None:
    answer = script(
        """
        space = opened(sys.argv[1])
        space.add(texts("a", 3000))
        reading, vectors = space.store.select(), space.store.embedded()
        next(reading), next(vectors)
        print(in_a_child(lambda: list(reading)), in_a_child(lambda: list(vectors)))
        print(len(list(reading)), len(list(vectors)))
        space.close()
        """,
        path,
    )
    assert answer.split() == ["refused", "refused", "2999", "2999"]


def test_a_child_that_ends_leaves_the_parents_files_and_lock(path: Path) -> None:
    """Also where it ends as a program does, with all finalizers."""
    answer = script(
        """
        import io
        from PIL import Image
        data = io.BytesIO()
        Image.new("RGB", (9, 9), "red").save(data, "PNG")
        space, memory = opened(sys.argv[1]), opened(None)
        space.add(texts("a", 3))
        memory.add([Record(id="m", text="m", image=data.getvalue())])
        pid = os.fork()
        if not pid:
            memory.add(texts("c", 1))
            assert missed(memory, ["c0"]) == [] and len(memory) == 2
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert len(memory) == 1 and memory.get(["m"])[0].image.read_bytes() == data.getvalue()
        assert os.path.exists(sys.argv[1] + "/catalog.sqlite-wal")
        space.add(texts("b", 3))
        space.close(), memory.close()
        """,
        path,
    )
    assert answer == ""
    check(path, ["a0", "a1", "a2", "b0", "b1", "b2"])


def test_the_lock_of_a_parent_that_was_killed_is_not_kept_by_its_child(path: Path) -> None:
    answer = script(
        """
        ends, end = os.pipe()
        parent = os.fork()
        if not parent:
            space = opened(sys.argv[1])
            space.add(texts("a", 1))
            if os.fork():
                os.kill(os.getpid(), signal.SIGKILL)
            os.close(ends)
            os.write(end, b"x")
            time.sleep(30)
            os._exit(0)
        os.waitpid(parent, 0)
        os.read(ends, 1)
        with opened(sys.argv[1]) as space:
            print(space.add(texts("b", 1)), flush=True)
        os.killpg(0, signal.SIGKILL)
        """,
        path,
        killed=True,
    )
    assert answer == "['b0']"
    check(path, ["a0", "b0"])


@pytest.mark.parametrize(
    ("method", "parent"),
    [
        ("fork", "reads"),
        ("fork", "writes"),
        ("spawn", "reads"),
        pytest.param("spawn", "writes", marks=pytest.mark.slow),
        pytest.param("forkserver", "reads", marks=pytest.mark.slow),
        pytest.param("forkserver", "writes", marks=pytest.mark.slow),
    ],
)
def test_processes_of_multiprocessing(path: Path, method: str, parent: str) -> None:
    """Workers that read through a space of their own, or one that was open at the fork."""
    program = path.parent / "program.py"
    program.write_text(
        """
import multiprocessing, sys, threading
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace

space = None

def work(number):
    here = space or SemanticSpace.open(sys.argv[1], encoder=ToyEncoder())
    return [hit.record.id for hit in here.search(f"a{number}", k=1)]

if __name__ == "__main__":
    with SemanticSpace.open(sys.argv[1], encoder=ToyEncoder()) as first:
        first.add([Record(id=f"a{n}", text=f"a{n}") for n in range(200)])
        first.compact()
    space = SemanticSpace.open(sys.argv[1], encoder=ToyEncoder())
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            space.search("a1", k=3)
            if sys.argv[3] == "writes":
                space.add([Record(id="b", text="b")])
    thread = threading.Thread(target=busy)
    thread.start()
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        found = pool.map(work, range(40))
    stop.set()
    thread.join()
    space.close()
    print(found == [[f"a{n}"] for n in range(40)])
""",
        encoding="utf-8",
    )
    answer = script(
        "import runpy; program = sys.argv.pop(1); sys.argv[0] = program\n"
        "sys.exit(os.spawnve(os.P_WAIT, sys.executable, [sys.executable, *sys.argv],"
        " {**os.environ, 'PYTHONPATH': os.getcwd()}))",
        program,
        path,
        method,
        parent,
    )
    assert answer == "True"


@pytest.mark.slow
def test_mini_encodes_in_a_child_that_was_forked_after_its_first_use(tmp_path: Path) -> None:
    answer = script(
        """
        from PIL import Image
        Image.new("RGB", (64, 64), "red").save(sys.argv[1] + "/red.png")
        space = SemanticSpace.open(sys.argv[1] + "/s.unisem")
        space.add([Record(id=f"a{n}", text=f"a sentence about {n} tigers in snow") for n in range(64)])
        before = [(hit.record.id, hit.score) for hit in space.search("a striped cat")]
        def child():
            after = [(hit.record.id, hit.score) for hit in space.search("a striped cat")]
            assert [i for i, _ in after] == [i for i, _ in before], (before, after)
            assert all(abs(x[1] - y[1]) < 1e-5 for x, y in zip(before, after))
            space.search(image=sys.argv[1] + "/red.png")
            results = []
            thread = threading.Thread(target=lambda: results.append(space.search("in a thread")))
            thread.start(), thread.join()
            assert results
        print(in_a_child(child), in_a_child(child))
        """,  # noqa: E501
        tmp_path,
        env={"OMP_NUM_THREADS": "2"},
        seconds=180,
    )
    assert answer == "ok ok"
