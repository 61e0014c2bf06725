"""The arrays that napari is to be given, by the snippet of docs/viewers.md, are the levels."""

from typing import Any

import numpy as np

from tests.browser.conftest import FRAME, frame_values, snippet
from tests.browser.drawn import level_of
from tests.faces.conftest import Site


def test_the_documented_snippet_makes_dask_arrays_of_the_levels(pictures: Site) -> None:
    names: dict[str, Any] = {}
    exec(snippet(pictures, "napari", "python"), names)
    assert len(names["levels"]) == 3
    for level, array in enumerate(names["levels"]):
        np.testing.assert_array_equal(array[FRAME].compute(scheduler="synchronous"), level_of(frame_values(), level))
