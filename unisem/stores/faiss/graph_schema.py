"""The tables of a graph, as format 5 of the catalogue has them.

An upgrade makes them word for word, so they are changed by a later upgrade and never here.
"""

TABLES = (
    """CREATE TABLE IF NOT EXISTS entities (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    aliases TEXT NOT NULL,   -- JSON
    kind TEXT,
    properties TEXT NOT NULL -- JSON
)""",
    "CREATE TABLE IF NOT EXISTS entity_names"
    " (words TEXT NOT NULL, entity INTEGER NOT NULL, PRIMARY KEY (words, entity)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS entity_names_by_entity ON entity_names (entity)",
    "CREATE TABLE IF NOT EXISTS entity_vectors (entity INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS relation_types (number INTEGER PRIMARY KEY, type TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS relations (
    subject INTEGER NOT NULL,
    type INTEGER NOT NULL,
    object INTEGER NOT NULL,
    record TEXT NOT NULL,    -- the record it was found in, empty if in none
    weight REAL NOT NULL,
    properties TEXT,         -- JSON, if any
    PRIMARY KEY (subject, type, object, record)
) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS relations_outward ON relations (subject, weight DESC)",
    "CREATE INDEX IF NOT EXISTS relations_inward ON relations (object, weight DESC)",
    "CREATE INDEX IF NOT EXISTS relations_by_record ON relations (record) WHERE record > ''",
    """CREATE TABLE IF NOT EXISTS mentions (
    record TEXT NOT NULL,
    entity INTEGER NOT NULL,
    weight REAL NOT NULL,
    PRIMARY KEY (record, entity)
) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS mentions_by_entity ON mentions (entity, weight DESC)",
)
"""What is kept of a graph; an index of a table without row numbers ends with its primary key."""
