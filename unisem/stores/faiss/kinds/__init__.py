"""The kinds of index that a segment may have, one file each."""
