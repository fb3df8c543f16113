"""What every room may use: whole files, printable text, threads, what was passed over."""
