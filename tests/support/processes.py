"""Code in a process of its own, and in children that it forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

from unisem.errors import UniSemError

_ROOT = Path(__file__).parents[2]
_HEAD = """
import json, logging, multiprocessing, os, shutil, signal, sys, threading, time
from pathlib import Path
from tests.support.processes import in_a_child
from tests.support.toy import ToyEncoder
from unisem import Record, SemanticSpace
from unisem.stores.faiss import FaissKind
from unisem.errors import UniSemError

def opened(path, **options):
    return SemanticSpace.open(path, encoder=ToyEncoder(), **options)

def texts(prefix, count):
    return [Record(id=f"{prefix}{n}", text=f"{prefix}{n}") for n in range(count)]

def missed(space, names):
    return [n for n in names if [hit.record.id for hit in space.search(n, k=1)] != [n]]
"""


def script(
    code: str,
    *arguments: object,
    seconds: float = 120,
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
    killed: bool = False,
) -> str:
    """Run code after `_HEAD`; what it prints. Fails if it hangs, or ends with an error.

    Args:
        code: Python; ``sys.argv`` from 1 on are the arguments.
        arguments: Shown as strings.
        seconds: How long it may take.
        env: Environment variables besides the present ones.
        prefix: A command that runs the command that follows.
        killed: Whether it kills itself.
    """
    child = subprocess.Popen(
        [*prefix, sys.executable, "-B", "-c", _HEAD + dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={**os.environ, **(env or {})},
        start_new_session=True,  # so that what it forked ends with it
    )
    try:
        out, err = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        raise AssertionError(f"hangs; until then it said {out!r} {err[-2000:]!r}") from None
    assert child.returncode == (-signal.SIGKILL if killed else 0), err[-2000:]
    return out.strip()


def in_a_child(action: Callable[[], object], seconds: float = 30) -> str:
    """Run in a forked child: ``ok``, ``refused`` (an error of UniSem's), ``hangs`` or ``fails``."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        except UniSemError:
            code = 3
        except BaseException as error:  # noqa: BLE001
            sys.stderr.write(f"child: {type(error).__name__}: {error}\n")
            sys.stderr.flush()
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return {0: "ok", 3: "refused"}.get(os.waitstatus_to_exitcode(status), "fails")
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"
