"""Taking records in."""
