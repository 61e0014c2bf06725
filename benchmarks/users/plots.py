"""The plots of ``python -m benchmarks run``. Needs matplotlib (the extra ``bench``)."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.common import ours
from benchmarks.users.crowd import Summary
from benchmarks.users.workloads import WORKLOADS

mpl.rcParams["svg.hashsalt"] = "chunkserve"  # the same numbers give the same file
COLUMNS = 3


def plot(rows: list[Summary], folder: Path) -> list[Path]:
    """A panel per workload: requests per second over users, and the times they take."""
    found = []
    for name, value, label in (
        ("users-rate.svg", "requests_per_s", "requests per second"),
        ("users-p99.svg", "p99_ms", "99th percentile, ms"),
    ):
        chosen = [w.name for w in WORKLOADS if w.way != "once" and any(r["name"] == w.name for r in rows)]
        if chosen:
            found.append(_panels(rows, chosen, value, label, folder / name))
    return found


def _panels(rows: list[Summary], chosen: list[str], value: str, label: str, path: Path) -> Path:
    lines = -(-len(chosen) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 3 * lines), layout="constrained")
    panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    servers = list(dict.fromkeys(r["server"] for r in rows))
    for panel, name in zip(panels, chosen, strict=False):
        _panel(panel, [r for r in rows if r["name"] == name], servers, value)
        panel.set_title(name, fontsize="medium")
    for panel in panels[len(chosen) :]:
        panel.set_axis_off()
    figure.supxlabel("users")
    figure.supylabel(label)
    handles = {text: line for panel in panels for line, text in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    return path


def _panel(panel: Axes, rows: list[Summary], servers: list[str], value: str) -> None:
    for n, server in enumerate(servers):
        points = sorted((r["users"], r[value]) for r in rows if r["server"] == server and r.get(value))
        if points:
            width = 2.5 if server == ours.NAME else 1.2
            panel.plot(
                *zip(*points, strict=True), marker="o", markersize=3, linewidth=width, color=f"C{n}", label=server
            )
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.grid(visible=True, which="major", alpha=0.3)
