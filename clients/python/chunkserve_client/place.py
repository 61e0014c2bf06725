"""Where an array is: the server, the file and its version, the path in it, the level of its pyramid."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from chunkserve_client.config import Options
from chunkserve_client.transport import Transport, quoted, transport_of

_UNSAFE = frozenset(b"#?%\\~/") | frozenset(range(0x20)) | {0x7F}
_DOCUMENTS = frozenset({".", "..", "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})


@dataclass(frozen=True)
class Place:
    """A node of a file, in one version of it.

    Attributes:
        options: How to talk to the server.
        file: Path of the file below the server.
        path: In the file, without a slash in front; empty for the root.
        version: To pin URLs to; empty for a file that is being written.
        level: Of the pyramid; 0 is the dataset.
        axes, method: Of the pyramid, if not the server's choice.
    """

    options: Options
    file: str
    path: str = ""
    version: str = ""
    level: int = 0
    axes: str = ""
    method: str = ""

    @property
    def transport(self) -> Transport:
        """Connections to the server."""
        return transport_of(self.options)

    @property
    def view(self) -> dict[str, str]:
        """Parameters of the pyramid."""
        return {name: value for name, value in (("axes", self.axes), ("method", self.method)) if value}

    def at(self, path: str) -> "Place":
        """Another node of the same file and version."""
        return replace(self, path=path, level=0, axes="", method="")

    def url(self, face: str, *below: str, **query: str) -> str:
        """The path of a URL of a face, pinned to the version."""
        pin = f";v={self.version}" if self.version else ""
        path = "/".join(filter(None, (quoted(self.file, self.path), *below)))
        text = urlencode({name: value for name, value in query.items() if value})
        return f"/{face}{pin}/{path}" + (f"?{text}" if text else "")

    def page(self) -> str:
        """The URL of the viewer's page about it, to be put into other pages: what browsers ask for. Has no token."""
        return f"{(self.options.browser or self.options.url).rstrip('/')}/embed/{quoted(self.file, self.path)}"

    def chunks(self) -> str:
        """The path of the Zarr array, to which ``/zarr.json`` and ``/c/0/0`` are added."""
        view = "".join(f";{name}={value}" for name, value in self.view.items())
        pin = f";v={self.version}" if self.version else ""
        face, level = ("ome", f"/{self.level}") if self.level else ("zarr", "")
        inside = f"/{zarr_path(self.path)}" if self.path else ""
        return f"/{face}{view}{pin}/{quoted(self.file)}{inside}{level}"


def zarr_path(path: str) -> str:
    """A path of link names as the server's Zarr faces spell it: bytes that Zarr cannot have in names are ``~XX``."""
    return "/".join(quoted(_zarr_name(name)) for name in path.split("/") if name)


def _zarr_name(name: str) -> str:
    whole = name in _DOCUMENTS or set(name) == {"."}
    return "".join(_spelled(c, escape=whole and i == 0) for i, c in enumerate(name))


def _spelled(character: str, *, escape: bool) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"~{code - 0xDC00:02X}"
    return f"~{code:02X}" if escape or code in _UNSAFE else character
