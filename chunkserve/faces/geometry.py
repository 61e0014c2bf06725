"""The geometry of diffraction frames: ``/geometry/{file}/{dataset}``."""

import json

from chunkserve.faces.paths import parameters_of, parse_path
from chunkserve.faces.respond import Reply, Request, Responder
from chunkserve.metadata.geometry import places
from chunkserve.service.blob import blob_of
from chunkserve.service.geometry import geometry_of
from chunkserve.service.store import Answer, Store
from chunkserve.sources.localfile import WouldBlock
from chunkserve.versions import digest


class GeometryFace:
    """Beam centre, distance, pixel size and wavelength, as the file tells them."""

    def __init__(self, store: Store, respond: Responder) -> None:
        """Look into the files of ``store``."""
        self.store = store
        self.respond = respond

    def __call__(self, request: Request, *, wait: bool) -> Reply:
        """Answer a request."""
        path = parse_path(request.path)
        parameters_of(request.query, path.parameters, ())
        if not wait:
            raise WouldBlock
        node = self.store.node(path.parts)
        found = geometry_of(node, self.store.nodes, places(self.store.settings.geometry))
        document = {
            "beam_center": found.beam_center, "distance": found.distance, "pixel_size": found.pixel_size,
            "wavelength": found.wavelength, "sources": dict(found.sources), "missing": found.missing,
        }  # fmt: skip
        data = json.dumps(document).encode()
        return self.respond.answer(request, Answer(blob_of(data), digest("geometry", data), json=True), wait=wait)
