"""HTTP: each face parses a request, asks the store, and responds. Faces know Starlette and ``respond``, not each other."""
