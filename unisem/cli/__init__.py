"""The command line, one file per command: see ``docs/guides/command_line.md``."""

from unisem.cli.app import main

__all__ = ["main"]
