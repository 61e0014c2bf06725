"""What requests ask for of datasets and levels: by parameters of a URL, or by a body with several selections."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from chunkserve.errors import BadRequest
from chunkserve.faces.paths import level_of
from chunkserve.faces.respond import Request
from chunkserve.service.slices import Wanted

PARAMETERS = frozenset({"sel", "field", "level", "axes", "method"})
"""Names of parameters that say what is wanted."""

MOST_SELECTIONS = 10_000
"""Selections in one question."""


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a POST: several selections of one dataset."""

    selections: list["str | Choice"]


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """One of them."""

    sel: str = ""
    field: str | list[str] = []
    level: int = 0
    axes: str = ""
    method: str = ""

    def wanted(self) -> Wanted:
        """As the service takes it."""
        fields = (self.field,) if isinstance(self.field, str) else tuple(self.field)
        return Wanted(self.sel, fields, self.level, self.axes, self.method)


def asked(request: Request, parameters: Mapping[str, str]) -> Wanted:
    """What a URL asks for; several ``field`` are several fields.

    Raises:
        BadRequest: It cannot be read.
    """
    fields: tuple[str, ...] = ()
    if "field" in parameters:
        pairs = parse_qsl(request.query.decode("latin-1"), keep_blank_values=True)
        fields = tuple(value for name, value in pairs if name == "field") or (parameters["field"],)
    axes, method = parameters.get("axes", ""), parameters.get("method", "")
    return Wanted(parameters.get("sel", ""), fields, level_of(parameters) or 0, axes, method)


def posted(request: Request) -> list[Wanted]:
    """What the body of a request asks for.

    Raises:
        BadRequest: It cannot be read.
    """
    is_json = b"json" in request.headers.get(b"content-type", b"")
    decode = msgspec.json.decode if is_json else msgspec.msgpack.decode
    try:
        choices = decode(request.body, type=Question).selections
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        form = "JSON" if is_json else "MessagePack (or JSON with Content-Type: application/json)"
        raise BadRequest(f'the body is not {form} as {{"selections": ["0:10,:", ...]}}: {error}') from None
    if not 0 < len(choices) <= MOST_SELECTIONS:
        raise BadRequest(f"the body has {len(choices)} selections; there may be 1 to {MOST_SELECTIONS}")
    return [Wanted(choice) if isinstance(choice, str) else choice.wanted() for choice in choices]
