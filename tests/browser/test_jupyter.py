"""In JupyterLab: a file opens in H5Web from the file browser, a notebook's cell shows it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest

from tests.browser.conftest import Visit
from tests.browser.look import BUILT, WHY_NOT
from tests.browser.test_session import write_diffraction
from tests.jupyter import Lab

Error = pytest.importorskip("playwright.sync_api").Error
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
pytestmark = pytest.mark.skipif(not BUILT, reason=WHY_NOT)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "scans").mkdir()
    write_diffraction(folder / "scans" / "diffraction.nxs")
    (folder / "broken.h5").write_bytes(b"no HDF5")

    found = Lab(folder, tmp_path_factory.mktemp("state"))
    yield found
    found.stop()


def test_a_file_opens_in_h5web_from_the_file_browser(lab: Lab, visit: Visit, artefacts: Path) -> None:
    page = visit.page
    page.set_viewport_size({"width": 1300, "height": 850})
    page.goto(f"{lab.url}lab?token={lab.token}&reset")
    page.locator(".jp-DirListing-item", has_text="scans").dblclick()
    page.locator(".jp-DirListing-item", has_text="diffraction.nxs").dblclick()
    frame = page.frame_locator("iframe[title='scans/diffraction.nxs']")
    frame.locator(".h5web canvas").wait_for()
    page.wait_for_timeout(1500)
    page.screenshot(path=artefacts / "jupyterlab.png")
    assert "NX Heatmap" in frame.locator(".h5web").inner_text()
    asked = [url for status, url in visit.answers if status == 200]
    assert any("/user/anna/chunkserve/h5grove/data" in url for url in asked)
    assert not any("/api/contents/scans/diffraction.nxs" in url and "content=1" in url for url in asked), "never read"


def test_a_cell_of_a_notebook_shows_a_file_live(lab: Lab, visit: Visit, artefacts: Path) -> None:
    code = [
        "from chunkserve_client import connect",
        f"srv = connect('{lab.url}chunkserve', token='{lab.token}', browser='{urlsplit(lab.url).path}chunkserve')",
        "srv['scans/diffraction.nxs']['entry/data/frames']",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(code))])
    nbformat.write(notebook, lab.folder / "look.ipynb")
    page = visit.page
    page.set_viewport_size({"width": 1300, "height": 850})
    page.goto(f"{lab.url}lab/tree/look.ipynb?token={lab.token}&reset")
    with contextlib.suppress(Error):  # asks for a kernel, if it knows none for the notebook
        page.get_by_role("button", name="Select Kernel").click(timeout=15_000)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.wait_for_timeout(3000)  # for the kernel
    page.keyboard.press("Shift+Enter")
    frame = page.frame_locator(".jp-OutputArea-output iframe")
    frame.locator("[data-testid=canvas][data-complete=true]").wait_for()
    page.wait_for_timeout(1000)
    page.screenshot(path=artefacts / "jupyterlab-cell.png")
    assert "500" in page.locator(".jp-OutputArea-output details").evaluate("(e) => e.textContent")
    assert lab.token not in page.locator(".jp-OutputArea-output iframe").get_attribute("src")
