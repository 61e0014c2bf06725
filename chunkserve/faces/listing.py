"""A folder or group as a page of links."""

import html

from chunkserve.service.store import Listing

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "a{color:#0b57d0;text-decoration:none}a:hover{text-decoration:underline}"
    "ul{list-style:none;padding:0;columns:20rem}li{break-inside:avoid}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8ab4f8}}"
)


def listing_page(path: tuple[str, ...], listing: Listing) -> bytes:
    """The page. Every link ends in a slash and is relative.

    Names are written as they are where HTML allows it: fsspec reads them without undoing any quoting.
    """
    title = html.escape("/".join(path) or "chunkserve")
    names = [f"{name}/" for name in listing.folders] + [f"{name}/" for name in listing.others]
    items = "\n".join(f'<li><a href="{_href(name)}">{html.escape(name)}</a></li>' for name in names)
    above = '<p><a href="../">up</a></p>' if path else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{above}<ul>\n{items}\n</ul></body></html>"
    ).encode("utf-8", "surrogateescape")


def _href(name: str) -> str:
    for character, quoted in (
        ("%", "%25"),
        ('"', "%22"),
        ("'", "%27"),
        ("<", "%3C"),
        (">", "%3E"),
        ("#", "%23"),
    ):
        name = name.replace(character, quoted)
    return f"./{name}" if ":" in name else name
