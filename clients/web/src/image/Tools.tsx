import { type Selection, SelectionTool, SvgElement, SvgLine, SvgRect, DataToHtml } from "@h5web/lib";
import { type ReactNode, useMemo, useState } from "react";
import { Vector3 } from "three";
import { useQuery } from "../location/useplace";
import { type DrawnAxis, type PlaneInfo, toPosition, toValue } from "./plane";
import { type Line, parseLine, parseRegion, type Region } from "./profile";
import { ProfilePlot } from "./ProfilePlot";
import { RegionNumbers } from "./RegionNumbers";
import type { Scene } from "./TileLayer";
import type { TileCache } from "./tilecache";

export type ToolName = "pan" | "profile" | "region";

const TITLES: Record<ToolName, [string, string]> = {
  pan: ["Move", "Drag to move, turn the wheel to zoom, Ctrl and drag to zoom into a box"],
  profile: ["Profile", "Drag a line to plot the values along it"],
  region: ["Region", "Drag a box for the statistics in it"],
};

export interface Tool {
  name: ToolName;
  choose: (name: ToolName) => void;
  line: Line | undefined;
  region: Region | undefined;
  setLine: (line?: Line) => void;
  setRegion: (region?: Region) => void;
}

/** What dragging does, and what was drawn: that is in the URL. */
export function useTool(): Tool {
  const [query, change] = useQuery();
  const line = useMemo(() => parseLine(query["line"]), [query]);
  const region = useMemo(() => parseRegion(query["region"]), [query]);
  const [name, choose] = useState<ToolName>(line ? "profile" : region ? "region" : "pan");
  return {
    name,
    choose,
    line,
    region,
    setLine: (found) => change({ line: found ? [...found.from, ...found.to].map((n) => n.toFixed(1)).join(",") : "" }),
    setRegion: (r) => change({ region: r ? [r.top, r.bottom, r.left, r.right].join(",") : "" }),
  };
}

export function ToolBar({ tool, info, children }: { tool: Tool; info: PlaneInfo; children?: ReactNode }) {
  return (
    <div className="toolbar">
      <div role="group" aria-label="What dragging does" className="segmented">
        {(Object.keys(TITLES) as ToolName[]).map((name) => (
          <button key={name} type="button" aria-pressed={tool.name === name} title={TITLES[name][1]} onClick={() => tool.choose(name)}>
            {TITLES[name][0]}
          </button>
        ))}
      </div>
      {children}
      <span className="hint">{TITLES[tool.name][1]}</span>
      <span className="spring" />
      <span className="facts-inline">
        {info.levels[0]?.height} × {info.levels[0]?.width}
      </span>
    </div>
  );
}

/** The line or box being dragged, and those that were. */
export function ToolLayer({ tool, x, y }: { tool: Tool; x: DrawnAxis; y: DrawnAxis }) {
  const point = (row: number, column: number) => new Vector3(toValue(x, column), toValue(y, row), 0);
  const place = (at: Vector3): [number, number] => [toPosition(y, at.y), toPosition(x, at.x)];
  const end = (selection: Selection | undefined) => {
    if (!selection) return;
    const [from, to] = [place(selection.data[0]), place(selection.data[1])];
    if (tool.name === "profile") tool.setLine({ from, to });
    else tool.setRegion(boxed(from, to, x, y));
  };
  return (
    <>
      {tool.name !== "pan" && (
        <SelectionTool key={tool.name} onSelectionEnd={end}>
          {({ html }) => (
            <SvgElement>
              {tool.name === "profile" ? <SvgLine className="drawn" coords={html} /> : <SvgRect className="drawn" coords={html} />}
            </SvgElement>
          )}
        </SelectionTool>
      )}
      {tool.line && (
        <DataToHtml points={[point(...tool.line.from), point(...tool.line.to)]}>
          {(a, b) => (
            <SvgElement>
              <SvgLine className="drawn" coords={[a, b]} />
            </SvgElement>
          )}
        </DataToHtml>
      )}
      {tool.region && (
        <DataToHtml points={[point(tool.region.top, tool.region.left), point(tool.region.bottom, tool.region.right)]}>
          {(a, b) => (
            <SvgElement>
              <SvgRect className="drawn" coords={[a, b]} />
            </SvgElement>
          )}
        </DataToHtml>
      )}
    </>
  );
}

interface ResultProps {
  tool: Tool;
  parts: readonly string[];
  scene: Scene;
  cache: TileCache;
  label: string;
}

/** What a line or a box has told. */
export function ToolResult({ tool, parts, scene, cache, label }: ResultProps) {
  return (
    <>
      {tool.line && <ProfilePlot line={tool.line} scene={scene} cache={cache} label={label} onClose={() => tool.setLine()} />}
      {tool.region && <RegionNumbers region={tool.region} parts={parts} scene={scene} label={label} onClose={() => tool.setRegion()} />}
    </>
  );
}

/** The whole pixels that a box touches. */
function boxed(a: readonly [number, number], b: readonly [number, number], x: DrawnAxis, y: DrawnAxis): Region {
  const clip = (value: number, most: number) => Math.max(0, Math.min(most, value));
  const [top, bottom] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])];
  const [left, right] = [Math.min(a[1], b[1]), Math.max(a[1], b[1])];
  return {
    top: clip(Math.floor(top), y.extent - 1),
    bottom: clip(Math.ceil(bottom), y.extent),
    left: clip(Math.floor(left), x.extent - 1),
    right: clip(Math.ceil(right), x.extent),
  };
}
