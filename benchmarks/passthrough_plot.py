"""The plot of the passthrough benchmark. Needs matplotlib (the extra ``bench``)."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.common import ours
from benchmarks.common.rounds import Measured
from benchmarks.common.series import KIB

mpl.rcParams["svg.hashsalt"] = "chunkserve"  # the same numbers give the same file


def plot(found: list[Measured], folder: Path) -> list[Path]:
    """Requests per second over the stored size of gzip chunks, a panel per number of workers."""
    chunks = [m for m in found if m.series.kind == "gzip" and not m.series.sharded and m.rate]
    counts = sorted({m.workers for m in chunks})
    if not chunks:
        return []
    figure = Figure(figsize=(5.2 * len(counts), 4.2), layout="constrained")
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for panel, workers in zip(panels, counts, strict=True):
        for name in dict.fromkeys(m.server for m in chunks):
            points = [(m.series.stored // KIB, m.rate) for m in chunks if m.server == name and m.workers == workers]
            if points:
                width = 2.5 if name == ours.NAME else 1.2
                panel.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, linewidth=width, label=name)
        sizes = sorted({m.series.stored // KIB for m in chunks})
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(sizes, [f"{n}" if n < KIB else f"{n // KIB}M" for n in sizes])
        panel.set_xlabel("stored chunk, KiB")
        panel.set_title(f"{workers} worker{'s' if workers > 1 else ''}")
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[0].set_ylabel("chunks per second")
    panels[-1].legend(fontsize="small")
    path = folder / "passthrough.svg"
    figure.savefig(path, metadata={"Date": None})
    return [path]
