"""Where pairs come from: one file per format; what cannot be read is reported, not raised."""
