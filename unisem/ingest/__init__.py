"""Taking records in: admit, prepare, embed, commit."""
