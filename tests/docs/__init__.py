"""The docs do what they say: their code runs, what they name is there, the site is built."""
