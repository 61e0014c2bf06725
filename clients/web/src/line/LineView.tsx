import {
  AxialSelectToZoom,
  CurveType,
  DataCurve,
  extendDomain,
  Pan,
  ResetZoomButton,
  ScaleType,
  useCameraState,
  useCanvasEvent,
  useVisCanvasContext,
  VisCanvas,
  XAxisZoom,
} from "@h5web/lib";
import { useCallback, useEffect, useMemo, useState } from "react";
import type { ViewProps } from "../browse/NodePage";
import { Trouble } from "../browse/Trouble";
import { useDark } from "../browse/usedark";
import { Slicers } from "../image/Slicers";
import { useAxisNames } from "../image/useaxisnames";
import { axisName, valueAt } from "../image/plane";
import { useQuery } from "../location/useplace";
import { splitPath } from "../location/url";
import { formatShort } from "../server/format";
import { useAsked } from "../server/useasked";
import { curveOf, factorFor, type LineInfo, lineOf, partAround, rangeIn } from "./line";

const POINTS = 2000;
const MOST_POINTS = 20_000;
const GLYPHS_BELOW = 120;

/** A line of any length: drawn from extremes, more of them as one zooms in. */
export default function LineView({ file, path, dataset, label }: ViewProps) {
  const [query, change] = useQuery();
  const parts = useMemo(() => [...file, ...splitPath(path)], [file, path]);
  const names = useAxisNames(file, path, dataset);
  const [axis, index] = [query["axis"] ?? "", query["index"] ?? ""];
  const key = `line ${parts.join("/")} ${axis} ${index}`;
  const all = useAsked(key, (signal) => lineOf(parts, { axis, index, start: 0, stop: undefined, points: POINTS }, signal));
  const [kept, setKept] = useState<LineInfo>();
  if (all.value && all.value !== kept) setKept(all.value);
  const info = all.value ?? kept;
  if (all.error) return <Trouble error={all.error} small />;
  if (!info) return <p className="waiting" role="status" aria-label="Loading" />;
  const drawn = { shape: info.shape, axes: { names: info.names, rulers: info.rulers } };
  return (
    <div className="line-view">
      <div className="toolbar">
        <span className="hint">Turn the wheel to zoom, drag to move, Ctrl and drag to zoom into a part</span>
        <span className="spring" />
        {info.shape.length > 1 && (
          <label className="field">
            Along
            <select value={info.axis} onChange={(event) => change({ axis: event.target.value, index: "" })}>
              {info.shape.map((extent, at) => (
                <option key={at} value={at}>
                  {axisName(drawn, at, names) || `axis ${at}`}: {extent}
                </option>
              ))}
            </select>
          </label>
        )}
        <label className="field check">
          <input type="checkbox" checked={query["ylog"] === "1"} onChange={(event) => change({ ylog: event.target.checked ? "1" : "" })} />
          Logarithmic
        </label>
      </div>
      <Slicers info={drawn} drawn={[info.axis]} names={names} complete={all.state === "there"} />
      <Plot key={`${parts.join("/")} ${info.axis}`} {...{ parts, axis, index, label }} all={info} name={axisName(drawn, info.axis, names)} log={query["ylog"] === "1"} />
    </div>
  );
}

interface PlotProps {
  parts: readonly string[];
  axis: string;
  index: string;
  all: LineInfo;
  name: string;
  label: string;
  log: boolean;
}

function Plot({ parts, axis, index, all, name, label, log }: PlotProps) {
  const length = all.shape[all.axis] ?? 1;
  const ruler = all.rulers[all.axis];
  const regular = ruler?.start !== undefined && ruler.step !== undefined;
  const [start, step] = regular ? [ruler.start ?? 0, ruler.step ?? 1] : [0, 1];
  const at = useCallback((element: number) => start + step * element, [start, step]);
  const dark = useDark();
  const [seen, setSeen] = useState<[number, number]>([0, length]);
  const [pointed, setPointed] = useState<number>();

  const [from, to] = all.factor === 1 ? [0, length] : partAround(seen[0], seen[1], length);
  const factor = factorFor(seen[1] - seen[0], POINTS);
  const isAll = factor >= all.factor;
  const points = Math.min(Math.ceil((to - from) / factor), MOST_POINTS);
  const asked = useAsked(isAll ? `all ${all.version} ${index}` : `part ${parts.join("/")} ${axis} ${index} ${from} ${to} ${factor}`, (signal) =>
    isAll ? Promise.resolve(all) : lineOf(parts, { axis, index, start: from, stop: to, points }, signal),
  );
  const [kept, setKept] = useState<LineInfo>(all);
  const current = isAll ? all : asked.value;
  if (current && current !== kept) setKept(current);
  const line = current ?? (kept.shape === all.shape || kept.start <= from ? kept : all);

  const curve = useMemo(() => curveOf(line, at), [line, at]);
  const view: [number, number] = [at(seen[0]), at(seen[1])].sort((a, b) => a - b) as [number, number];
  const range = rangeIn(curve, view[0], view[1]) ?? rangeIn(curveOf(all, at), -Infinity, Infinity) ?? [0, 1];
  const positive = curve.y.filter((value) => value > 0);
  const useLog = log && positive.length > 0;
  const low = useLog ? Math.max(range[0], Math.min(...positive)) : range[0];
  const domain = extendDomain(low === range[1] ? [low - 1, low + 1] : [low, range[1]], 0.05, useLog ? ScaleType.Log : ScaleType.Linear);
  const few = seen[1] - seen[0] <= GLYPHS_BELOW && line.factor === 1;
  const unit = ruler?.unit;
  const xLabel = [name, regular && unit ? `(${unit})` : ""].filter(Boolean).join(" ");
  const ends = [at(-0.5), at(length - 0.5)].sort((a, b) => a - b) as [number, number];
  return (
    <>
      <div className="canvas line-canvas" data-testid="line" data-factor={line.factor} data-points={curve.x.length} data-range={domain.join()}>
        <VisCanvas
          abscissaConfig={{ visDomain: ends, showGrid: true, isIndexAxis: !regular, flip: step < 0, label: xLabel, formatTick }}
          ordinateConfig={{ visDomain: domain, showGrid: true, scaleType: useLog ? ScaleType.Log : ScaleType.Linear, label, ...(useLog ? {} : { formatTick }) }}
        >
          <Pan />
          <XAxisZoom />
          <AxialSelectToZoom axis="x" modifierKey="Control" />
          <ResetZoomButton />
          <VisibleElements start={start} step={step} length={length} onSeen={setSeen} />
          <Pointer start={start} step={step} length={length} onPoint={setPointed} />
          <DataCurve
            abscissas={curve.x}
            ordinates={curve.y}
            color={dark ? "#8ab4f8" : "#0b57d0"}
            curveType={few ? CurveType.LineAndGlyphs : CurveType.LineOnly}
            width={1.5}
          />
        </VisCanvas>
      </div>
      <Values line={line} pointed={pointed} label={label} ruler={valueAt(ruler, pointed ?? 0)} length={length} dtype={all.dtype} />
    </>
  );
}

const formatTick = (value: number) => formatShort(value);

interface Along {
  start: number;
  step: number;
  length: number;
}

/** Tells which elements can be seen. */
function VisibleElements({ start, step, length, onSeen }: Along & { onSeen: (seen: [number, number]) => void }) {
  const { getVisibleDomains } = useVisCanvasContext();
  const [from, to] = useCameraState(
    (camera) => {
      const [a, b] = getVisibleDomains(camera).xVisibleDomain.map((value) => (value - start) / step) as [number, number];
      return [Math.max(0, Math.floor(Math.min(a, b))), Math.min(length, Math.ceil(Math.max(a, b)))] as [number, number];
    },
    [getVisibleDomains, start, step, length],
    (a, b) => a[0] === b[0] && a[1] === b[1],
  );
  useEffect(() => {
    const timer = setTimeout(() => onSeen([from, Math.max(to, from + 1)]), 40);
    return () => clearTimeout(timer);
  }, [from, to, onSeen]);
  return null;
}

function Pointer({ start, step, length, onPoint }: Along & { onPoint: (at?: number) => void }) {
  useCanvasEvent("pointermove", ({ dataPt }) => {
    const element = Math.round((dataPt.x - start) / step);
    onPoint(element >= 0 && element < length ? element : undefined);
  });
  useCanvasEvent("pointerout", () => onPoint(undefined));
  return null;
}

interface ValuesProps {
  line: LineInfo;
  pointed: number | undefined;
  label: string;
  ruler: string;
  length: number;
  dtype: string;
}

function Values({ line, pointed, label, ruler, length, dtype }: ValuesProps) {
  const point = pointed === undefined ? -1 : Math.floor((pointed - line.start) / line.factor);
  const [low, high] = [line.min[point], line.max?.[point]];
  const show = (value: number | string | null | undefined) => (value == null ? "none" : formatShort(Number(value), 9));
  return (
    <p className="readout" data-testid="readout">
      {pointed === undefined || low === undefined ? (
        <span>
          {length.toLocaleString("en-GB")} × {dtype}
        </span>
      ) : (
        <>
          <span>
            element <b>{pointed}</b> {ruler && `(${ruler})`}
          </span>
          <span className="value">
            {label} <b data-testid="value">{high == null ? show(low) : `${show(low)} … ${show(high)}`}</b>
          </span>
        </>
      )}
      <span className="spring" />
      <span>{line.factor === 1 ? "every element" : `least and greatest of ${line.factor}`}</span>
    </p>
  );
}
