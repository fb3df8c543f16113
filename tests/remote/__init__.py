"""A space that a service keeps, used from here."""
