"""``chunkserve keys``: make, list and revoke API keys and share links."""

import argparse
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from chunkserve.access.options import AccessOptions
from chunkserve.access.principal import ACTIONS
from chunkserve.access.rulefile import RuleFile
from chunkserve.errors import BadRequest
from chunkserve.identity.identify import Identity
from chunkserve.identity.keys import Key, KeyStore
from chunkserve.settings import Settings

DAY = 86_400.0


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What stands behind ``chunkserve keys``."""
    command.add_argument("what", choices=("create", "list", "revoke", "share"))
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="create: the user; revoke: keys or links; share: paths such as p42/**"
    )
    command.add_argument("--groups", default="", metavar="LIST", help="create: groups of the user, commas between")
    command.add_argument("--paths", default="", metavar="LIST", help="create: patterns of paths it is limited to")
    command.add_argument(
        "--actions", default=",".join(sorted(ACTIONS)), metavar="LIST", help=f"of {', '.join(sorted(ACTIONS))}"
    )
    command.add_argument("--days", type=float, default=30.0, metavar="N", help="how long it is good for (default: 30)")
    command.add_argument("--note", default="", metavar="TEXT", help="create: shown by list")


def run(options: argparse.Namespace, settings: Settings, console: Console) -> int:
    """Do it; the exit status."""
    known = RuleFile(settings.access).current.options if settings.access else AccessOptions()
    identity = Identity(known, settings.state_folder())
    try:
        return _TASKS[options.what](options, identity.keys, console)
    finally:
        identity.close()


def _create(options: argparse.Namespace, keys: KeyStore, console: Console) -> int:
    if len(options.names) != 1:
        raise BadRequest("say in whose name the key speaks: chunkserve keys create USER")
    paths = _words(options.paths) or None
    text, key = keys.create(
        options.names[0],
        frozenset(_words(options.groups)),
        seconds=options.days * DAY,
        actions=frozenset(_words(options.actions)),  # type: ignore[arg-type]  # checked there
        paths=paths,
        note=options.note,
    )
    console.print(text, soft_wrap=True, markup=False)
    Console(stderr=True, highlight=False).print(
        f"key {key.name} of {key.user}, good until {_day(key.expires)}; it is shown this once: "
        "Authorization: Bearer KEY",
        soft_wrap=True,
    )
    return 0


def _share(options: argparse.Namespace, keys: KeyStore, console: Console) -> int:
    try:
        from chunkserve.identity.links import share  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadRequest("share links need more: pip install 'chunkserve[auth]'") from None
    actions = frozenset(_words(options.actions))
    token = share(keys, tuple(options.names), actions, options.days * DAY)  # type: ignore[arg-type]
    console.print(token, soft_wrap=True, markup=False)
    Console(stderr=True, highlight=False).print(
        f"good until {_day(time.time() + options.days * DAY)}: put ?token=TOKEN behind a URL, or for Zarr clients "
        ";token=TOKEN behind its first segment: /zarr;token=TOKEN/...",
        soft_wrap=True,
    )
    return 0


def _list(options: argparse.Namespace, keys: KeyStore, console: Console) -> int:
    del options
    table = Table(box=None, pad_edge=False)
    for column in ("key", "user", "groups", "actions", "paths", "created", "good until", "note"):
        table.add_column(column)
    for key in keys.all():
        table.add_row(
            key.name, key.user, ",".join(sorted(key.groups)), ",".join(sorted(key.actions)),
            "all" if key.paths is None else ",".join(key.paths), _day(key.created), _until(key), key.note,
        )  # fmt: skip
    console.print(table)
    return 0


def _revoke(options: argparse.Namespace, keys: KeyStore, console: Console) -> int:
    if not options.names:
        raise BadRequest("say which: chunkserve keys revoke NAME (see 'chunkserve keys list')")
    for name in options.names:
        if name.count(".") == 2:
            from chunkserve.identity.links import revoke  # noqa: PLC0415 - an extra

            revoke(keys, name)
        else:
            keys.revoke(name)
    console.print("revoked; workers know within seconds")
    return 0


_TASKS = {"create": _create, "list": _list, "revoke": _revoke, "share": _share}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%MZ")


def _until(key: Key) -> str:
    if key.revoked is not None:
        return f"revoked {_day(key.revoked)}"
    return _day(key.expires) if time.time() < key.expires else f"expired {_day(key.expires)}"
