"""One face for several: the second segment of the path names which."""

from collections.abc import Mapping

from chunkserve.errors import NotFound
from chunkserve.faces.respond import Face, Reply, Request


class Branch:
    """Faces below a common first segment."""

    def __init__(self, faces: Mapping[bytes, Face]) -> None:
        """Serve ``faces`` by second segment."""
        self._faces = faces

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        name = b"".join(request.path.split(b"/", 3)[2:3])
        face = self._faces.get(name)
        if face is None:
            raise NotFound(request.path.decode("latin-1"))
        return face(request, wait=wait)
