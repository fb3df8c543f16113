"""`JavaClient`: the Java client, told what to do from here."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "clients" / "java"


class JavaError(Exception):
    """What the client threw.

    Attributes:
        parts: What it says of itself, and ``refused`` if it sent nothing.
    """

    def __init__(self, parts: dict[str, Any]) -> None:
        super().__init__(parts.get("failed") or parts.get("refused"))
        self.parts = parts


def has_java() -> bool:
    """Whether there is a JDK."""
    return shutil.which("javac") is not None and shutil.which("java") is not None


def compiled(into: Path, *more: Path) -> Path:
    """Compile the client, its example, the driver and ``more``, warnings as errors."""
    files = [*sorted(SOURCES.glob("*.java")), HERE / "Driver.java", *more]
    command = ["javac", "-Xlint:all", "-Werror", "--release", "17", "-d", str(into)]
    run = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return into


class JavaClient:
    """A Java process that does with the client what it is told, one thing after the other."""

    def __init__(self, classes: Path) -> None:
        self._process = subprocess.Popen(
            ["java", "-XX:+UseSerialGC", "-Xmx512m", "-cp", str(classes), "Driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __call__(self, do: str, **command: Any) -> Any:
        """Do it and give its result.

        Raises:
            JavaError: The client threw something.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"do": do} | command, ensure_ascii=False) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "result" not in answer:
            raise JavaError(answer)
        return answer["result"]

    def json(self, data: bytes) -> str | list[str]:
        """What the client's JSON makes of bytes: the same written anew, or a list with a reason."""
        return self("json", bytes=base64.b64encode(data).decode())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
