import { AxialSelectionTool, DataCurve, extendDomain, HeatmapVis, ScaleType, SvgElement, SvgRect, useDomain, VisCanvas } from "@h5web/lib";
import ndarray from "ndarray";
import { useMemo, useState } from "react";
import type { ViewProps } from "../browse/NodePage";
import { Trouble } from "../browse/Trouble";
import { useDark } from "../browse/usedark";
import { COLOUR_MAPS, DEFAULT_MAP } from "../image/colour";
import { aspectOf, axisName, type DrawnAxis, drawnAxis, planeInfo, type PlaneInfo, toValue, valueAt } from "../image/plane";
import { percentilesOf } from "../image/profile";
import { useAxisNames } from "../image/useaxisnames";
import { useQuery } from "../location/useplace";
import { splitPath } from "../location/url";
import { plainUrl } from "../server/fetch";
import { formatShort } from "../server/format";
import { reduce } from "../server/reduce";
import { save } from "../server/signed";
import { useAsked } from "../server/useasked";
import { type Band, energies, flat, nearest, parseBand, strongest } from "./band";

/** Files that a map can be saved as, and what is said of them. */
const FORMS: Record<string, Record<string, string>> = { tiff: { dtype: "f4" }, h5: {}, csv: {} };

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
  const wanted = { axis: "2", sel: `:,:,${band[0]}:${band[1]}`, valid: "1" };
  const asked = useAsked(`map ${parts.join("/")} ${wanted.sel}`, (signal) => reduce(parts, ["sum"], wanted, signal));
  const [height = 1, width = 1] = info.shape;
  const values = useMemo(() => (asked.value ? Float32Array.from(flat(asked.value.results["sum"]?.values)) : undefined), [asked.value]);
  const shown = useMemo(() => (values ? percentilesOf([values], [0.5, 99.5], Number.isFinite) : undefined), [values]);
  const array = useMemo(() => ndarray(values ?? new Float32Array(width * height), [height, width]), [values, width, height]);
  const cmap = COLOUR_MAPS.find((name) => name.toLowerCase() === query["cmap"]?.toLowerCase()) ?? DEFAULT_MAP;
  const [x, y] = [drawnAxis(info, 1, names), drawnAxis(info, 0, names)];
  const [low = 0, high = 1] = shown ?? [];
  if (asked.error) return <Trouble error={asked.error} small />;
  const ruler = info.axes.rulers[2];
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
            <span className="hint">Save as</span>
            {Object.entries(FORMS).map(([form, more]) => (
              <Save key={form} form={form} href={plainUrl("reduce", parts, { op: "sum", ...wanted, format: form, download: "1", ...more })} />
            ))}
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

/** The map as a file, made by the server of all digits; pictures have float32. */
function Save({ form, href }: { form: string; href: string }) {
  const [problem, setProblem] = useState("");
  const get = () => {
    save(href).then(
      () => setProblem(""),
      (error: unknown) => setProblem((error as Error).message),
    );
  };
  return (
    <>
      <button type="button" className="plain-button" title={`Save the map as ${form}`} onClick={get}>
        {form}
      </button>
      {problem && <span role="alert">{problem}</span>}
    </>
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
  const at = useMemo(() => energies(ruler, spectrum.length), [ruler, spectrum]);
  const scaleType = log ? ScaleType.Log : ScaleType.Linear;
  const domain = extendDomain(useDomain(spectrum, { scaleType }) ?? [0.1, 1], 0.05, scaleType);
  const ends = [at[0] ?? 0, at.at(-1) ?? 1].sort((a, b) => a - b) as [number, number];
  const label = [axisName(info, 2, names) || "channel", ruler?.unit ? `(${ruler.unit})` : ""].filter(Boolean).join(" ");
  const inside = useMemo(() => spectrum.map((value, i) => (i >= band[0] && i < band[1] ? value : NaN)), [spectrum, band]);
  return (
    <div className="canvas spectrum" data-testid="spectrum">
      <VisCanvas
        abscissaConfig={{ visDomain: ends, showGrid: true, label, flip: (at[0] ?? 0) > (at.at(-1) ?? 0), formatTick }}
        ordinateConfig={{ visDomain: domain, showGrid: true, scaleType, label: "sum", ...(log ? {} : { formatTick }) }}
      >
        <AxialSelectionTool
          axis="x"
          onSelectionEnd={(selection) => {
            if (!selection) return;
            const found = selection.data.map((point) => nearest(at, point.x)).sort((a, b) => a - b) as [number, number];
            onBand([found[0], found[1] + 1]);
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
