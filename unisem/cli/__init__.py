"""The command line, one file per command: see ``docs/guides/command_line.md``."""

import os

__all__ = ["main"]


def main() -> None:
    """Run the program on this process's arguments and exit."""
    try:
        from unisem.cli.app import INTERRUPTED, run
    except KeyboardInterrupt:  # while libraries are loading, where nothing is lost
        os._exit(130)
    try:
        run()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
