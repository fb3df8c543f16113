"""Documents: files of one format to elements, and elements of any format to linked records."""
