"""``python -m unisem``: the command line."""

from unisem.cli import main

main()
