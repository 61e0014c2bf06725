"""Apps: ours and those of other packages are found the same way, and served as they are."""

import json
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import h5py
import numpy as np
import pytest

from chunkserve.apps import GROUP, IMAGE, App, Selector, described, installed, loaded
from tests.conftest import Server
from tests.faces.conftest import ask

ROOT = Path(__file__).parents[1]


def block(after: str) -> str:
    """The code that follows a file's name in docs/apps.md."""
    return (ROOT / "docs" / "apps.md").read_text().split(f"`{after}`\n\n```")[1].split("\n", 1)[1].split("```")[0]


def install_documented_app(folder: Path) -> Path:
    """The package of docs/apps.md, as a wheel that pip installs into a folder."""
    project = tomllib.loads(block("pyproject.toml"))["project"]
    points = "".join(f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in table.items())
                     for group, table in project["entry-points"].items())  # fmt: skip
    info = f"{project['name']}-{project['version']}.dist-info"
    files = {
        name: block(name) for name in ("brightest/__init__.py", "brightest/page/index.html", "brightest/page/app.js")
    }
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = points
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = folder / f"{project['name']}-{project['version']}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True, timeout=120)
    return target


def write_stack(path: Path) -> np.ndarray:
    """Frames, the fourth of which is the brightest."""
    slope = np.add.outer(np.arange(40), np.arange(50)).astype("u2")
    stack = slope * np.array([1, 5, 2, 9, 4, 3], "u2")[:, None, None]
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/data")
        file["entry"].attrs["NX_class"] = "NXentry"
        data.attrs.update({"NX_class": "NXdata", "signal": "frames"})
        data["frames"] = stack
    return stack


def test_ours_are_entry_points_like_any_other() -> None:
    names = {point.name for point in entry_points(group=GROUP) if point.value.startswith("chunkserve.apps:")}
    assert names == {"image", "line", "map", "table"}
    assert names <= set(installed())
    assert installed()["image"] == IMAGE
    assert [app["page"] for app in described({"image": IMAGE})] == [False]


def test_what_cannot_be_used_is_left_out_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    def point(name: str, value: str) -> EntryPoint:
        return EntryPoint(name, value, GROUP)

    found = loaded([
        point("good", "chunkserve.apps:LINE"), point("good", "chunkserve.apps:IMAGE"), point("gone", "no.such:thing"),
        point("number", "math:pi"), point("../up", "chunkserve.apps:LINE"),
    ])  # fmt: skip
    assert list(found) == ["good"]
    for name in ("good is left out: the name is taken", "gone", "math:pi is no chunkserve.apps.App", "../up"):
        assert name in caplog.text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Selector(kinds=("colour",)), "no datatype is of kind colour"),  # type: ignore[arg-type]
        (lambda: Selector(rank=(3, 2)), "rank"),
        (lambda: App("", (Selector(),)), "title"),
        (lambda: App("x", ()), "selector"),
        (lambda: App("x", (Selector(),), Path("/nowhere")), "no index.html"),
    ],
)
def test_mistakes_are_told_when_they_are_made(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


def test_an_installed_package_brings_its_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(install_documented_app(tmp_path)))
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site" / "brightest" / "page" / "out").symlink_to(tmp_path / "secret.txt")
    server = Server((str(tmp_path / "data"),), {"settle": 0, "workers": 1})
    about = json.loads(ask(f"{server.url}/api/server").body)
    assert (about["access"], about["user"]) == (False, "")
    app = next(app for app in about["apps"] if app["name"] == "brightest")
    assert (app["title"], app["page"]) == ("Brightest", True)
    assert app["selects"][0]["nx_class"] == ["NXdata", "NXdetector"]
    page = ask(f"{server.url}/apps/brightest/index.html?file=a.h5&path=/x")
    assert (page.status, page.body.decode()) == (200, block("brightest/page/index.html"))
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert ask(f"{server.url}/apps/brightest/app.js").headers["content-type"].startswith("text/javascript")
    again = ask(
        f"{server.url}/apps/brightest/app.js", If_None_Match=ask(f"{server.url}/apps/brightest/app.js").headers["etag"]
    )
    assert again.status == 304
    for path in ("brightest", "brightest/", "brightest/none.js", "brightest/out", "brightest/../__init__.py",
                 "brightest/%2e%2e/__init__.py", "image/index.html", "none/index.html", ""):  # fmt: skip
        assert ask(f"{server.url}/apps/{path}").status == 404, path
    assert server.stop() == ""
