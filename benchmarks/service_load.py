"""Load on a service by `wrk`, and what it says of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
local bodies, asked = {}, 0
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
local threads, headers = {}, {["Content-Type"] = "application/json"}
answered, refused, failed = 0, 0, 0
function setup(thread) threads[#threads + 1] = thread end
function request()
  asked = asked + 1
  return wrk.format("POST", nil, headers, bodies[asked % #bodies + 1])
end
function response(status)
  if status == 200 then answered = answered + 1
  elseif status == 429 then refused = refused + 1
  else failed = failed + 1 end
end
function done(summary, latency)
  local a, r, f, e = 0, 0, 0, summary.errors
  for _, thread in ipairs(threads) do
    a = a + thread:get("answered")
    r = r + thread:get("refused")
    f = f + thread:get("failed")
  end
  print(string.format(
    'LOAD {"seconds": %f, "answered": %d, "refused": %d, "failed": %d, "p50": %f, "p99": %f}',
    summary.duration / 1e6, a, r, f + e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What clients that ask without a pause were answered.

    Attributes:
        seconds: How long they asked.
        answered: Requests that got 200.
        refused: Requests that got 429.
        failed: Any other status, a broken connection, or no answer within a minute.
        p50: The median of how long any answer took, in milliseconds.
        p99: The 99th percentile likewise.
    """

    seconds: float
    answered: int
    refused: int
    failed: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests answered with 200, per second."""
        return self.answered / self.seconds


class Questions:
    """Bodies that `wrk` posts in turn.

    Args:
        folder: Where they and the script are written.
        name: Of their files.
        bodies: JSON, each on one line.
    """

    def __init__(self, folder: Path, name: str, bodies: Sequence[str]) -> None:
        lines = folder / f"{name}.jsonl"
        lines.write_text("".join(f"{body}\n" for body in bodies), encoding="utf-8")
        self._script = folder / f"{name}.lua"
        self._script.write_text(_SCRIPT.replace("BODIES", str(lines)), encoding="utf-8")

    def asked(self, url: str, clients: int, seconds: int) -> Load:
        """Ask as fast as a number of clients can, each one request at a time.

        Raises:
            RuntimeError: There is no `wrk`, or it failed.
        """
        wrk = shutil.which("wrk")
        if wrk is None:
            raise RuntimeError("there is no wrk; run: apt-get install wrk")
        command = [wrk, "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "60s"]
        done = subprocess.run(
            [*command, "-s", str(self._script), url], capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            if line.startswith("LOAD "):
                return Load(**json.loads(line.removeprefix("LOAD ")))
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
