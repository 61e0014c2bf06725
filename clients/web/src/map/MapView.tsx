import { AxialSelectionTool, DataCurve, extendDomain, HeatmapVis, ScaleType, SvgElement, SvgRect, useDomain, VisCanvas } from "@h5web/lib";
import ndarray from "ndarray";
import { useMemo } from "react";
import type { ViewProps } from "../browse/NodePage";
import { Trouble } from "../browse/Trouble";
import { useDark } from "../browse/usedark";
import { COLOUR_MAPS, DEFAULT_MAP } from "../image/colour";
import { aspectOf, axisName, type DrawnAxis, drawnAxis, planeInfo, type PlaneInfo, toValue, valueAt } from "../image/plane";
import { percentilesOf } from "../image/profile";
import { useAxisNames } from "../image/useaxisnames";
import { useQuery } from "../location/useplace";
import { splitPath } from "../location/url";
import { formatShort } from "../server/format";
import { reduce } from "../server/reduce";
import { useAsked } from "../server/useasked";
import { type Band, flat, parseBand, strongest } from "./band";
import { csvOf, tiffOf } from "./files";

/** A map of a band of the spectra of a cube: drawn on the sum of all spectra, both summed on the server. */
export default function MapView({ file, path, dataset, label }: ViewProps) {
  const [query, change] = useQuery();
  const parts = useMemo(() => [...file, ...splitPath(path)], [file, path]);
  const names = useAxisNames(file, path, dataset);
  const key = parts.join("/");
  const info = useAsked(`plane of map ${key}`, (signal) => planeInfo(parts, { axes: "0,1", index: "", method: "" }, signal));
  const summed = useAsked(`spectrum ${key}`, (signal) => reduce(parts, ["sum"], { axis: "0,1", valid: "1" }, signal));
  const spectrum = useMemo(() => (summed.value ? flat(summed.value.results["sum"]?.values) : undefined), [summed.value]);
  const error = info.error ?? summed.error;
  if (error) return <Trouble error={error} small />;
  if (!info.value || !spectrum) return <p className="waiting" role="status" aria-label="Loading" />;
  const band = parseBand(query["band"], spectrum.length) ?? strongest(spectrum);
  return (
    <div className="map-view">
      <Map {...{ parts, band, names, label }} info={info.value} />
      <Spectrum {...{ spectrum, band, names }} info={info.value} log={query["ylog"] === "1"} onBand={([from, to]) => change({ band: `${from},${to}` })} />
      <div className="toolbar">
        <span className="hint">Drag over the spectrum to choose a band</span>
        <span className="spring" />
        <label className="field check">
          <input type="checkbox" checked={query["ylog"] === "1"} onChange={(event) => change({ ylog: event.target.checked ? "1" : "" })} />
          Logarithmic
        </label>
      </div>
    </div>
  );
}

interface MapProps {
  parts: readonly string[];
  band: Band;
  info: PlaneInfo;
  names: readonly string[];
  label: string;
}

function Map({ parts, band, info, names, label }: MapProps) {
  const [query] = useQuery();
  const sel = `:,:,${band[0]}:${band[1]}`;
  const asked = useAsked(`map ${parts.join("/")} ${sel}`, (signal) => reduce(parts, ["sum"], { axis: "2", sel, valid: "1" }, signal));
  const [height = 1, width = 1] = info.shape;
  const values = useMemo(() => (asked.value ? Float32Array.from(flat(asked.value.results["sum"]?.values)) : undefined), [asked.value]);
  const shown = useMemo(() => (values ? percentilesOf([values], [0.5, 99.5], Number.isFinite) : undefined), [values]);
  const array = useMemo(() => ndarray(values ?? new Float32Array(width * height), [height, width]), [values, width, height]);
  const cmap = COLOUR_MAPS.find((name) => name.toLowerCase() === query["cmap"]?.toLowerCase()) ?? DEFAULT_MAP;
  const [x, y] = [drawnAxis(info, 1, names), drawnAxis(info, 0, names)];
  const [low = 0, high = 1] = shown ?? [];
  if (asked.error) return <Trouble error={asked.error} small />;
  const ruler = info.axes.rulers[2];
  const name = `${parts.at(-1) ?? "map"}-${band[0]}-${band[1]}`;
  return (
    <>
      <div className="toolbar">
        <span data-testid="band">
          channels <b>{band[0]}</b> to <b>{band[1] - 1}</b>
          {ruler && ` (${valueAt(ruler, band[0])} to ${valueAt(ruler, band[1] - 1)})`}
        </span>
        <span className="spring" />
        {values && (
          <>
            <Save name={`${name}.tiff`} media="image/tiff" make={() => tiffOf(values, width, height)} />
            <Save name={`${name}.csv`} media="text/csv" make={() => csvOf(values, width)} />
          </>
        )}
      </div>
      <div className="map" data-testid="map" data-state={asked.state}>
        <HeatmapVis
          dataArray={array}
          domain={low < high ? [low, high] : [low - 0.5, low + 0.5]}
          colorMap={cmap}
          aspect={aspectOf(info, x, y)}
          flipXAxis={x.from > x.to}
          flipYAxis={y.from < y.to}
          title={label}
          abscissaParams={{ label: x.label, value: centres(x) }}
          ordinateParams={{ label: y.label, value: centres(y) }}
        />
      </div>
    </>
  );
}

function Save({ name, media, make }: { name: string; media: string; make: () => BlobPart }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([make()], { type: media }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <button type="button" className="plain-button" onClick={save}>
      {name.split(".").at(-1)}
    </button>
  );
}

interface SpectrumProps {
  spectrum: number[];
  band: Band;
  info: PlaneInfo;
  names: readonly string[];
  log: boolean;
  onBand: (band: Band) => void;
}

function Spectrum({ spectrum, band, info, names, log, onBand }: SpectrumProps) {
  const dark = useDark();
  const ruler = info.axes.rulers[2];
  const [start, step] = ruler?.start !== undefined && ruler.step !== undefined ? [ruler.start, ruler.step] : [0, 1];
  const at = useMemo(() => spectrum.map((_, i) => start + step * i), [spectrum, start, step]);
  const scaleType = log ? ScaleType.Log : ScaleType.Linear;
  const domain = extendDomain(useDomain(spectrum, { scaleType }) ?? [0.1, 1], 0.05, scaleType);
  const ends = [at[0] ?? 0, at.at(-1) ?? 1].sort((a, b) => a - b) as [number, number];
  const label = [axisName(info, 2, names), ruler?.unit && step !== 1 ? `(${ruler.unit})` : ""].filter(Boolean).join(" ");
  const inside = useMemo(() => spectrum.map((value, i) => (i >= band[0] && i < band[1] ? value : NaN)), [spectrum, band]);
  return (
    <div className="canvas spectrum" data-testid="spectrum">
      <VisCanvas
        abscissaConfig={{ visDomain: ends, showGrid: true, label, flip: step < 0, formatTick }}
        ordinateConfig={{ visDomain: domain, showGrid: true, scaleType, label: "sum", ...(log ? {} : { formatTick }) }}
      >
        <AxialSelectionTool
          axis="x"
          onSelectionEnd={(selection) => {
            if (!selection) return;
            const found = selection.data.map((point) => (point.x - start) / step).sort((a, b) => a - b) as [number, number];
            const from = Math.max(0, Math.min(spectrum.length - 1, Math.round(found[0])));
            onBand([from, Math.max(from + 1, Math.min(spectrum.length, Math.round(found[1]) + 1))]);
          }}
        >
          {({ html }) => (
            <SvgElement>
              <SvgRect coords={html} fill="orange" fillOpacity={0.35} />
            </SvgElement>
          )}
        </AxialSelectionTool>
        <DataCurve abscissas={at} ordinates={spectrum} color={dark ? "#8ab4f8" : "#0b57d0"} width={1.5} />
        <DataCurve abscissas={at} ordinates={inside} color="#f08c00" width={4} />
      </VisCanvas>
    </div>
  );
}

/** Values of an axis at the middle of its pixels; none if it has no coordinates. */
function centres(axis: DrawnAxis): number[] | undefined {
  if (axis.isIndex) return undefined;
  return Array.from({ length: axis.extent }, (_, i) => toValue(axis, i + 0.5));
}

const formatTick = (value: number) => formatShort(value);
