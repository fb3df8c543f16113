"""What a picture's file knows of it: EXIF, IPTC and XMP, read from bytes, as one `FileFacts`."""
