"""Weights load once, at the first use, and nobody waits for another model or another process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

import pytest

from tests.support.networks import save_bert
from tests.support.processes import script
from unisem import load_encoder
from unisem.common.lazy_property import lazy_property
from unisem.encoders.sentence_transformer import SentenceTransformerEncoder


def test_threads_load_a_model_once(tmp_path: Path) -> None:
    encoder = cast(SentenceTransformerEncoder, load_encoder(str(save_bert(tmp_path))))
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(encoder.model)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert {id(model) for model in found} == {id(encoder.model)}


@pytest.mark.slow
def test_a_child_loads_a_model_that_a_thread_of_its_parent_was_loading(tmp_path: Path) -> None:
    printed = script(
        """
        from unisem import load_encoder
        from unisem.common import forks
        from unisem.models import local_model

        forks._PATIENCE = 0.1
        encoder, load = load_encoder(sys.argv[1]), local_model.load_offline
        begun, end = threading.Event(), threading.Event()

        def slowly(*arguments, **options):
            begun.set()
            if threading.current_thread() is not threading.main_thread():
                end.wait()
            return load(*arguments, **options)

        local_model.load_offline = slowly
        thread = threading.Thread(target=lambda: encoder.dimension)
        thread.start()
        begun.wait()
        child = os.fork()
        if not child:
            os._exit(0 if encoder.encode_texts(["a cat"]).shape == (1, 32) else 1)
        print(os.waitpid(child, 0)[1])
        end.set()
        thread.join()
        """,
        save_bert(tmp_path),
    )
    assert printed.split() == ["0"]


def test_a_lazy_property_does_not_make_one_thing_wait_for_another() -> None:
    class Slow:
        def __init__(self, needs: threading.Event, sets: threading.Event) -> None:
            self.needs, self.sets = needs, sets

        @lazy_property
        def done(self) -> bool:
            self.sets.set()
            return self.needs.wait(60)

    first, second = threading.Event(), threading.Event()
    one, other = Slow(first, second), Slow(second, first)
    thread = threading.Thread(target=lambda: one.done)
    thread.start()
    assert other.done
    thread.join()
    assert one.done
