"""One spelling per key, decoded once; and no spelling that leads out of the root."""

import random
import socket
from pathlib import Path
from urllib.parse import quote

import h5py
import numpy as np
import pytest

from tests.conftest import Serve
from tests.faces.conftest import Site, ask, talk

SECRETS = (b"SECRET", np.full(4, 0x5EC2E7, "i4").tobytes(), b"root:x:0:0")
PLAIN = ("/zarr/run.h5/image/c/0/1", "/zarr/run.h5/zarr.json")


def send(site: Site, target: bytes, method: bytes = b"GET") -> tuple[int, bytes]:
    """Status and everything said, for a request target of any bytes."""
    said = talk(site.address, method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return int(said.split(b" ", 2)[1]), said


# ------------------------------------------------------------- canonical keys


@pytest.mark.parametrize(
    ("spelled", "plain"),
    [
        ("run.h5/image/%63/0/1", "run.h5/image/c/0/1"),
        ("run.h5/image/c/%30/1", "run.h5/image/c/0/1"),
        ("run.h5/im%61ge/c/0/1", "run.h5/image/c/0/1"),
        ("run%2Eh5/image/c/0/1", "run.h5/image/c/0/1"),
        ("run.h5/%7Aarr.json", "run.h5/zarr.json"),
        ("%72%75%6E.h5/image/zarr%2ejson", "run.h5/image/zarr.json"),
    ],
)
def test_a_key_is_percent_decoded_once(site: Site, spelled: str, plain: str) -> None:
    one, other = site.ask(f"/zarr/{spelled}"), site.ask(f"/zarr/{plain}")
    assert (one.status, one.body, one.headers["etag"]) == (200, other.body, other.headers["etag"])


@pytest.mark.parametrize("spelled", ["run.h5/im%2561ge/c/0/1", "run.h5/image/%2563/0/1", "run%252Eh5/image/zarr.json"])
def test_a_key_is_not_decoded_twice(site: Site, spelled: str) -> None:
    assert site.ask(f"/zarr/{spelled}").status in (404, 410)


@pytest.mark.parametrize(
    "key",
    [
        "image/c/00/1",
        "image/c/0/01",
        "image/c/+0/1",
        "image/c/-0/1",
        "image/c/0x0/1",
        "image/c/0/1.",
        "image/c/0.1",
        "image/c/0/1/",
        "image/c//0/1",
        "image/c/0//1",
        "image/c/ 0/1",
        "image/c/%200/1",
        "image/c/0/1%00",
        "image/c/\u0660/1",
        "image/c/1e0/1",
        "image/c0/1",
        "image/0/1",
        "image/C/0/1",
        "image/c/0/1/zarr.json",
        "image/zarr.json/",
        "image/zarr.json.",
        "image/ZARR.JSON",
        "Image/c/0/1",
        "scalar/c/",
    ],
)
def test_any_other_spelling_of_a_key_names_nothing(site: Site, key: str) -> None:
    target = f"/zarr/run.h5/{key}".replace(" ", "%20") if "%" not in key else f"/zarr/run.h5/{key}"
    status, said = send(site, quote(target, safe="/%+").encode())
    assert status in (404, 410)
    assert b"etag" not in said.lower().split(b"\r\n\r\n")[0].replace(b"content-range, etag", b"")


@pytest.mark.parametrize("key", ["0.01", "00.1", "0.1.", ".0.1", "0..1", "0.-1", "0.+1", "0.1%20", "c/0/1", "0/1"])
def test_any_other_spelling_of_a_format_2_key_names_nothing(site: Site, key: str) -> None:
    assert site.ask("/zarr2/run.h5/image/0.1").status == 200
    assert site.ask(f"/zarr2/run.h5/image/{key}").status in (404, 410)


def test_members_may_be_called_like_keys(tmp_path: Path, serve: Serve) -> None:
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["c/0/c/1"] = np.arange(3)
        file["0"] = np.arange(4)
        file["c/x"] = 5
    url = serve(tmp_path)
    for face, document, key in (("zarr", "zarr.json", "c/0"), ("zarr2", ".zarray", "0")):
        assert ask(f"{url}/{face}/c.h5/c/0/c/1/{document}").status == 200
        assert ask(f"{url}/{face}/c.h5/c/0/c/1/{key}").body == np.arange(3).tobytes()
        assert ask(f"{url}/{face}/c.h5/0/{key}").body == np.arange(4).tobytes()
    assert ask(f"{url}/zarr/c.h5/c/x/c").body == np.int64(5).tobytes()
    assert ask(f"{url}/zarr/c.h5/c/").status == 200
    assert ask(f"{url}/zarr/c.h5/c/0/").status == 200


@pytest.mark.parametrize(
    "name", ["a b", "ü", "a+b", "a&b", "a;b", "a:b", "(x)", "a=b,c", "日本", "a@b", "it's", "🙂", ".hidden", "~x", "$"]
)
def test_names_of_files_and_datasets_are_found_quoted(tmp_path: Path, serve: Serve, name: str) -> None:
    with h5py.File(tmp_path / f"{name}.h5", "w") as file:
        file[f"{name}/x"] = np.arange(3)
    url = serve(tmp_path)
    group = quote(name.replace("~", "~7E"))
    assert ask(f"{url}/zarr/{quote(name)}.h5/{group}/x/c/0").body == np.arange(3).tobytes()
    assert ask(f"{url}/files/{quote(name)}.h5").body == (tmp_path / f"{name}.h5").read_bytes()


@pytest.mark.parametrize(
    ("link", "node"), [("a#b", "a~23b"), ("a?b", "a~3Fb"), ("a%20b", "a~2520b"), ("a\\b", "a~5Cb"), ("~", "~7E")]
)
def test_names_that_urls_cannot_carry_have_an_alias_and_no_other_name(
    tmp_path: Path, serve: Serve, link: str, node: str
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file[link] = np.arange(3)
    url = serve(tmp_path)
    assert ask(f"{url}/zarr/x.h5/{node}/c/0").body == np.arange(3).tobytes()
    assert ask(f"{url}/zarr/x.h5/{quote(link, safe='')}/c/0").status == 410


# ----------------------------------------------------- nothing leads outside

ESCAPES = [
    b"/files/../outside/secret.txt",
    b"/files/../../outside/secret.h5",
    b"/files/%2e%2e/outside/secret.txt",
    b"/files/%2E%2E/outside/secret.txt",
    b"/files/.%2e/outside/secret.txt",
    b"/files/..%2foutside%2fsecret.txt",
    b"/files/..%2Foutside/secret.txt",
    b"/files/..%5coutside%5csecret.txt",
    b"/files/..\\outside\\secret.txt",
    b"/files/%252e%252e/outside/secret.txt",
    b"/files/%c0%ae%c0%ae/outside/secret.txt",
    b"/files/sub/../../outside/secret.txt",
    b"/files/sub/%2e%2e/%2e%2e/outside/secret.txt",
    b"/files/./../outside/secret.txt",
    b"/files//etc/passwd",
    b"/files///etc/passwd",
    b"/files/%2fetc%2fpasswd",
    b"/files/%2Fetc/passwd",
    b"//etc/passwd",
    b"/../../../etc/passwd",
    b"/files/../../../../../../../../etc/passwd",
    b"/files/run.h5/../../outside/secret.txt",
    b"/files/run.h5%00.txt",
    b"/files/%00",
    b"/files/outdir/secret.txt",
    b"/files/outdir/%2e/secret.txt",
    b"/files/out.h5",
    b"/files/\xff",
    b"/files/%ff",
    b"/files/%ff%fe/secret.txt",
    b"/zarr/../outside/secret.h5/x/c/0",
    b"/zarr/%2e%2e/outside/secret.h5/x/c/0",
    b"/zarr/..%2foutside%2fsecret.h5/x/c/0",
    b"/zarr/out.h5/x/c/0",
    b"/zarr/outdir/secret.h5/x/c/0",
    b"/zarr/outdir/secret.h5/zarr.json",
    b"/zarr/outdir/",
    b"/zarr/../",
    b"/zarr/..",
    b"/zarr/%2e%2e/",
    b"/zarr2/%2e%2e/outside/secret.h5/x/0",
    b"/zarr2/outdir/secret.h5/.zmetadata",
    b"/refs/../outside/secret.h5.json",
    b"/refs/%2e%2e%2foutside%2fsecret.h5.json",
    b"/refs/outdir/secret.h5.json",
    b"/zarr;v=../../outside/secret.h5/x/c/0",
    b"http://x/files/../outside/secret.txt",
    b"http://x/files/%2e%2e/outside/secret.txt",
    b"http://x//etc/passwd",
    b"file:///etc/passwd",
    b"etc/passwd",
    b"*",
    b"/files/" + b"../" * 5000 + b"etc/passwd",
    b"/files/" + b"a/" * 10_000,
    b"/files/" + b"a" * 20_000,
    b"/zarr/run.h5/" + b"a/" * 7000 + b"zarr.json",
    b"/zarr/" + b"%2e%2e/" * 2000,
    b"/" * 20_000,
    b"/files/" + b"a" * 200_000,
    b"/files/%",
    b"/files/%2",
    b"/files/%zz",
    b"/files/\x01",
    b"/files/~root",
    b"/files/$HOME",
    b"/proc/self/environ",
    b"/files/proc/self/environ",
    b"/files/CON",
]


@pytest.mark.parametrize("target", ESCAPES, ids=lambda target: repr(target[:60]))
@pytest.mark.parametrize("method", [b"GET", b"HEAD"], ids=["GET", "HEAD"])
def test_no_spelling_leads_out_of_the_root(site: Site, target: bytes, method: bytes) -> None:
    status, said = send(site, target, method)
    assert status in (400, 404, 410)
    assert not any(secret in said for secret in SECRETS)
    assert send(site, b"/healthz")[0] == 200


def test_no_random_path_leads_out_of_the_root_or_is_an_unexpected_error(site: Site) -> None:
    draw = random.Random(20240607)
    atoms = [b"zarr", b"zarr2", b"files", b"refs", b"run.h5", b"outdir", b"secret.h5", b"secret.txt", b"out.h5", b"sub"]
    atoms += [b"..", b".", b"", b"%2e%2e", b"%2f", b"%00", b"%ff", b"%ed%a0%80", b"~ED~A0~80", b"~FF", b"~41", b"%25"]
    atoms += [b"c", b"0", b"1", b"00", b"0.0", b"9" * 19, b"9" * 20, b"zarr.json", b".zarray", b".zmetadata", b"image"]
    atoms += [b"scalar", b"notes.txt", b"zarr;v", b"zarr;v=%ff", b"zarr;v=a;v=b", b"pipe.h5", b"%", b"%zz", b"outside"]
    with socket.create_connection(site.address, timeout=60) as sock:
        reader = sock.makefile("rb")
        for _ in range(1500):
            first = draw.choice((b"/zarr/run.h5/", b"/zarr2/run.h5/", b"/files/", b"/refs/", b"/zarr/", b"/"))
            target = first + b"/".join(draw.choices(atoms, k=draw.randint(0, 5)))
            sock.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            status = int(reader.readline().split()[1])
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = reader.read(length)
            assert status in (200, 308, 404, 410, 422), target
            if status == 200 and target.startswith((b"/zarr", b"/files")):
                assert not any(secret in body for secret in SECRETS), target


def test_symbolic_links_within_the_root_are_followed(site: Site) -> None:
    assert site.ask("/files/alias.h5").body == site.ask("/files/run.h5").body
    assert site.ask("/zarr/alias.h5/image/c/0/1").body == site.ask(PLAIN[0]).body


def test_links_lead_to_further_roots_that_are_not_served_themselves(tmp_path: Path, serve: Serve, site: Site) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "link.h5").symlink_to(site.folder / "run.h5")
    assert ask(f"{serve(tmp_path / 'served')}/zarr/link.h5/zarr.json").status == 404
    url = serve(tmp_path / "served", link_roots=site.folder)
    assert ask(f"{url}/zarr/link.h5/image/c/0/1").body == site.ask(PLAIN[0]).body
    assert ask(f"{url}/zarr/run.h5/zarr.json").status == 404
    assert b"run.h5" not in ask(f"{url}/zarr/").body


def test_a_single_file_is_served_without_its_neighbours(serve: Serve, site: Site) -> None:
    url = serve(site.folder / "run.h5")
    assert ask(f"{url}/zarr/run.h5/image/c/0/1").body == site.ask(PLAIN[0]).body
    for path in ("/zarr/strange.h5/before/zarr.json", "/files/notes.txt", "/zarr/sub/small.h5/zarr.json"):
        assert ask(url + path).status == 404
    listing = ask(f"{url}/zarr/").body
    assert b"run.h5" in listing
    assert b"notes.txt" not in listing


def test_several_roots_are_told_apart_by_name(tmp_path: Path, serve: Serve, site: Site) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["mine"] = np.arange(3)
    url = serve(f"lab={tmp_path}", f"raw={site.folder}")
    assert ask(f"{url}/zarr/lab/run.h5/mine/c/0").body == np.arange(3).tobytes()
    assert ask(f"{url}/zarr/raw/run.h5/image/c/0/1").body == site.ask(PLAIN[0]).body
    assert ask(f"{url}/zarr/run.h5/zarr.json").status == 404
    assert ask(f"{url}/zarr/other/run.h5/mine/c/0").status == 410
    assert b"lab/" in ask(f"{url}/zarr/").body
    assert ask(f"{url}/files/raw/notes.txt").status == 200
    assert ask(f"{url}/files/lab/notes.txt").status == 404


def test_an_absolute_form_target_is_its_path(site: Site) -> None:
    status, said = send(site, b"http://elsewhere.example/zarr/run.h5/image/c/0/1")
    assert status == 200
    assert said.endswith(site.ask(PLAIN[0]).body)
