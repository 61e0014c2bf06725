"""``chunkserve-client``: look at files on a server, and get them, from a terminal."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkserve_client import __version__
from chunkserve_client.config import TOKEN_VARIABLE, URL_VARIABLE, profiles_file
from chunkserve_client.errors import ClientError
from chunkserve_client.nodes import Dataset, File, Group
from chunkserve_client.pages import size_text
from chunkserve_client.server import Server, connect

EXAMPLES = f"""\
examples:
  chunkserve-client --url http://127.0.0.1:8000 ls
  chunkserve-client tree run42.nxs
  chunkserve-client get run42.nxs                                        # the whole file; resumes
  chunkserve-client get 'run42.nxs::/entry/data/data' -o data.npy        # a dataset; resumes
  chunkserve-client get 'run42.nxs::/entry/data/data' -s '10,::4' -o -   # a part of it, as text
  chunkserve-client thumbnail 'run42.nxs::/entry/data/data' -o run42.png --cmap magma

The server is --url, else ${URL_VARIABLE}, else a profile of {profiles_file()}.
The token is --token, else ${TOKEN_VARIABLE}, else the profile's.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    options = parser().parse_args(arguments)
    try:
        with connect(options.url, token=options.token, profile=options.profile) as server:
            options.run(server, options)
    except (ClientError, ValueError, TypeError, IndexError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it ended", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        "chunkserve-client", description="Look at HDF5 files on a chunkserve server, and get them.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--url", help="of the server, or the name of a profile")
    top.add_argument("--token", help="for the server")
    top.add_argument("--profile", help="name of a profile")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    ls = commands.add_parser("ls", help="names in a folder")
    ls.add_argument("folder", nargs="?", default="")
    ls.add_argument("-l", "--long", action="store_true", help="with sizes")
    ls.set_defaults(run=_ls)

    tree = commands.add_parser("tree", help="what is in a file")
    tree.add_argument("name", help="FILE or FILE::/PATH")
    tree.add_argument("-d", "--depth", type=int, default=8, help="groups within groups [%(default)s]")
    tree.set_defaults(run=_tree)

    get = commands.add_parser("get", help="download a file, or save a dataset")
    get.add_argument("name", help="FILE or FILE::/PATH")
    get.add_argument("-o", "--output", help="where to; - prints [the name; .npy for datasets]")
    get.add_argument("-s", "--select", help="a part of a dataset, as in brackets: 10,::4,100:200")
    get.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    get.set_defaults(run=_get)

    thumbnail = commands.add_parser("thumbnail", help="a picture of a dataset")
    thumbnail.add_argument("name", help="FILE::/PATH")
    thumbnail.add_argument("-o", "--output", default="thumbnail.png", help="where to [%(default)s]")
    thumbnail.add_argument("--size", type=int, default=512, help="pixels of the longer side, up to 512 [%(default)s]")
    thumbnail.add_argument("--index", help="where the axes that are not drawn are cut: 10 or 3,10")
    thumbnail.add_argument("--cmap", help="a colormap: viridis, magma, ...")
    thumbnail.add_argument("--scale", help="linear, log, sqrt or symlog")
    thumbnail.set_defaults(run=_thumbnail)
    return top


def _ls(server: Server, options: argparse.Namespace) -> None:
    if not options.long:
        print("\n".join(server.ls(options.folder)))
        return
    for entry in server.ls(options.folder, detail=True):
        folder = entry["type"] == "directory"
        size = "" if folder else size_text(entry["size"])
        print(f"{size:>10}  {entry['name']}{'/' if folder else ''}")


def _tree(server: Server, options: argparse.Namespace) -> None:
    found = server[options.name]
    print(found.tree(options.depth) if isinstance(found, Group) else repr(found))


def _get(server: Server, options: argparse.Namespace) -> None:
    found = server[options.name]
    if isinstance(found, File):
        print(found.download(options.output, progress=not options.quiet))
        return
    if not isinstance(found, Dataset):
        raise TypeError(f"{options.name} is a group; name a dataset in it, or the file alone")
    if options.output == "-":
        print(np.array2string(np.asarray(found[selection(options.select)]), threshold=sys.maxsize))
        return
    target = options.output or f"{found.name.rsplit('/', 1)[-1]}.npy"
    if options.select is None:
        found.save(target, progress=not options.quiet)
    else:
        np.save(target, found[selection(options.select)], allow_pickle=False)
    print(target)


def _thumbnail(server: Server, options: argparse.Namespace) -> None:
    found = server[options.name]
    if not isinstance(found, Dataset):
        raise TypeError(f"{options.name} is no dataset; name one: FILE::/PATH")
    more = {name: value for name in ("index", "cmap", "scale") if (value := getattr(options, name))}
    found.thumbnail(options.size, **more).save(options.output)
    print(options.output)


def selection(text: str | None) -> Any:
    """What stands in brackets, from text: numbers, ``a:b:c``, ``...`` and ``[1,5,9]``.

    Raises:
        ValueError: It is something else.
    """
    if text is None:
        return ...
    found: list[Any] = []
    words = [word.strip() for word in _split(text)]
    for word in words:
        if word == "...":
            found.append(...)
        elif word.startswith("[") and word.endswith("]"):
            found.append([_number(item, text) for item in word[1:-1].split(",") if item.strip()])
        elif ":" in word:
            parts = [None if not part.strip() else _number(part, text) for part in word.split(":")]
            found.append(slice(*parts))
        else:
            found.append(_number(word, text))
    return tuple(found)


def _split(text: str) -> list[str]:
    """At commas outside of brackets."""
    words, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and not depth:
            words.append("")
        else:
            words[-1] += character
    return words


def _number(word: str, text: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(f"{text!r} is no selection such as 10,::4,100:200") from None
