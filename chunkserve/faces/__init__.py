"""HTTP: each face parses a request, asks the store, and replies. Faces know ``respond``, not each other."""
