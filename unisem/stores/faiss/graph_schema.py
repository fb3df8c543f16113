"""The tables of a graph; format 5 of the catalogue brought them, format 6 the last columns of some.

An upgrade from a format before 5 makes them as they are here, and one from 5 adds what they lack.
"""

TABLES = (
    """CREATE TABLE IF NOT EXISTS entities (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    aliases TEXT NOT NULL,   -- JSON
    kind TEXT,
    properties TEXT NOT NULL, -- JSON
    checksum INTEGER         -- see unisem.stores.faiss.checksums, here and below
)""",
    "CREATE TABLE IF NOT EXISTS entity_names"
    " (words TEXT NOT NULL, entity INTEGER NOT NULL, PRIMARY KEY (words, entity)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS entity_names_by_entity ON entity_names (entity)",
    "CREATE TABLE IF NOT EXISTS entity_vectors"
    " (entity INTEGER PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER)",
    "CREATE TABLE IF NOT EXISTS relation_types (number INTEGER PRIMARY KEY, type TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS relations (
    subject INTEGER NOT NULL,
    type INTEGER NOT NULL,
    object INTEGER NOT NULL,
    record TEXT NOT NULL,    -- the record it was found in, empty if in none
    weight REAL NOT NULL,
    properties TEXT,         -- JSON, if any
    checksum INTEGER,
    PRIMARY KEY (subject, type, object, record)
) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS relations_outward ON relations (subject, weight DESC)",
    "CREATE INDEX IF NOT EXISTS relations_inward ON relations (object, weight DESC)",
    "CREATE INDEX IF NOT EXISTS relations_by_record ON relations (record) WHERE record > ''",
    """CREATE TABLE IF NOT EXISTS mentions (
    record TEXT NOT NULL,
    entity INTEGER NOT NULL,
    weight REAL NOT NULL,
    linked INTEGER,          -- 1 if linking found it, else 0
    checksum INTEGER,
    PRIMARY KEY (record, entity)
) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS mentions_by_entity ON mentions (entity, weight DESC)",
)
"""What is kept of a graph; an index of a table without row numbers ends with its primary key."""
