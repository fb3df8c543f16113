"""`unisem mcp` as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp.client.stdio import StdioServerParameters

_ADDRESS = re.compile(r"serving MCP at (http://\S+/mcp)")


def over_streams(space: Path, *options: str) -> StdioServerParameters:
    """How a client starts the server over its standard streams."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "unisem", "mcp", str(space), *options],
        env={name: os.environ[name] for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")},
    )


@contextmanager
def over_http(space: Path, *options: str) -> Iterator[str]:
    """A server over HTTP on a free port; its URL."""
    command = [sys.executable, "-m", "unisem", "mcp", str(space), "--http", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        try:
            while (found := _ADDRESS.search(line := process.stderr.readline())) is None:
                said.append(line)
                assert line, f"it ended, and said {said}"
            yield found[1]
        finally:
            process.terminate()
            process.communicate(timeout=60)
