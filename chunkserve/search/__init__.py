"""Search across files: an index that one process of a server keeps fresh, and all ask."""
