"""What the container's files say is what the program and the project are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lines(name: str) -> set[str]:
    """The requirements of a file, comments and other files left out."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {line for line in text.splitlines() if re.match(r"[A-Za-z]", line)}


def last(instruction: str) -> str:
    """What the last such instruction says, continued lines joined."""
    found = re.findall(rf"^{instruction} (.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)
    return str(found[-1]).strip()


def test_the_requirements_are_those_of_the_extras() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    named = {*extras["client"], *extras["service"]} - {"unisem[client]"}
    assert lines("requirements-service.txt") == named
    assert "-r requirements-slim.txt" in (ROOT / "requirements-service.txt").read_text()


def test_what_is_built_from_is_sent() -> None:
    sent = set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())
    assert "*" in sent
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], PROJECT["project"]["readme"]}
    needed |= {"pyproject.toml", "LICENSE", "constraints.txt"}
    needed |= {"requirements-slim.txt", "requirements-service.txt"}
    assert {f"!{name}" for name in needed} <= sent
    for line in sent:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line


def test_it_runs_as_nobody_and_loads_nothing_when_it_runs() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last("USER"))
    assert "HEALTHCHECK" in DOCKERFILE
    assert not re.search(r"\b(curl|wget|ADD|latest)\b", DOCKERFILE)
    assert "-c constraints.txt -r requirements-service.txt" in DOCKERFILE


def test_the_command_is_one_of_the_program() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["unisem"]
    command = json.loads(last("CMD"))
    help_text = subprocess.run(
        [sys.executable, "-m", "unisem", command[0], "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": ""},
    ).stdout
    for option in command:
        if option.startswith("--"):
            assert option in help_text
    assert command[-1].startswith("/data/")


def test_compose_gives_the_image_what_it_reads() -> None:
    compose: Any = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["unisem"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    for volume in json.loads(last("VOLUME")):
        assert f"{volume.strip('/')}:{volume}" in service["volumes"]
    (secret,) = service["secrets"]
    assert f"/run/secrets/{secret['source']}" in json.loads(last("CMD"))
    assert secret["source"] in compose["secrets"]
