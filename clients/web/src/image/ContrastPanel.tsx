import { useMemo, useState } from "react";
import { useQuery } from "../location/useplace";
import { formatShort } from "../server/format";
import { statistics } from "../server/stats";
import { useAsked } from "../server/useasked";
import { COLOUR_MAPS, SCALES, type Window } from "./colour";
import { BAD_COLOUR, isValid, SATURATED_COLOUR, type Style } from "./material";
import { Histogram } from "./Histogram";
import type { PlaneInfo, Wish } from "./plane";
import { PlaneChoice } from "./PlaneChoice";
import { percentilesOf } from "./profile";
import type { Seen } from "./TileLayer";
import type { TileCache } from "./tilecache";

interface Props {
  parts: readonly string[];
  wish: Wish;
  info: PlaneInfo;
  cache: TileCache;
  style: Style;
  seen: Seen | undefined;
}

/** How values become colours. The histogram is of the pixels in view; its handles are the window. */
export function ContrastPanel({ parts, wish, info, cache, style, seen }: Props) {
  const [, change] = useQuery();
  const [open, setOpen] = useState(false);
  const setWindow = ([low, high]: Window) => change({ vmin: text(low), vmax: text(high) });
  const visible = useMemo(
    () => (seen?.complete ? seen.tiles.flatMap((tile) => cache.get(wish, tile)?.values ?? []) : undefined),
    [seen, cache, wish],
  );
  const presets = usePresets(parts, wish, info, visible);
  return (
    <section className={`contrast ${open ? "open" : ""}`} aria-label="Contrast">
      <button type="button" className="contrast-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
        Contrast
      </button>
      <div className="contrast-body">
        <h2>Contrast</h2>
        <Histogram visible={visible} style={style} onWindow={setWindow} />
        <div className="bounds">
          <Bound name="Lowest" value={style.window[0]} onChange={(low) => setWindow([low, style.window[1]])} />
          <Bound name="Highest" value={style.window[1]} onChange={(high) => setWindow([style.window[0], high])} />
        </div>
        <div className="presets">
          {presets.map(({ name, title, window }) => (
            <button
              key={name}
              type="button"
              className="plain-button"
              title={title}
              onClick={() => (window === "own" ? change({ vmin: "", vmax: "" }) : setWindow(window))}
            >
              {name}
            </button>
          ))}
        </div>
        <label className="field">
          Scale
          <select value={style.scale} onChange={(event) => change({ scale: event.target.value === "linear" ? "" : event.target.value })}>
            {SCALES.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label className="field">
          Colours
          <select value={style.map} onChange={(event) => change({ cmap: event.target.value })}>
            {COLOUR_MAPS.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label className="field check">
          <input type="checkbox" checked={style.inverted} onChange={(event) => change({ invert: event.target.checked ? "1" : "" })} />
          Turned round
        </label>
        <PlaneChoice info={info} />
        <p className="legend">
          <span className="swatch" style={{ background: BAD_COLOUR }} /> no measurement
          <br />
          <span className="swatch" style={{ background: SATURATED_COLOUR }} /> saturated
        </p>
      </div>
    </section>
  );
}

function Bound({ name, value, onChange }: { name: string; value: number; onChange: (value: number) => void }) {
  const [typed, setTyped] = useState<string>();
  const commit = () => {
    const found = Number(typed);
    if (typed !== undefined && typed.trim() !== "" && Number.isFinite(found)) onChange(found);
    setTyped(undefined);
  };
  return (
    <label>
      {name}
      <input
        inputMode="decimal"
        value={typed ?? formatShort(value, 5)}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => event.key === "Enter" && commit()}
      />
    </label>
  );
}

interface Preset {
  name: string;
  title: string;
  window: Window | "own";
}

/** Windows to choose from: of the dataset, by its statistics, and of what is in view. */
function usePresets(parts: readonly string[], wish: Wish, info: PlaneInfo, visible: Float32Array[] | undefined): Preset[] {
  const axes = [info.axes.rows, info.axes.columns].sort((a, b) => a - b).join(",");
  const [wanted, setWanted] = useState(false);
  if (visible && !wanted) setWanted(true); // the picture comes first
  const asked = useAsked(wanted ? `stats ${parts.join("/")} ${axes} ${wish.method} ${info.version}` : "", (signal) =>
    statistics(parts, axes, wish.method, signal),
  );
  const values = asked.value?.values;
  const presets: Preset[] = [{ name: "Auto", title: "1st to 99.8th percentile of the dataset", window: "own" }];
  const add = (name: string, title: string, low: number | null | undefined, high: number | null | undefined) => {
    if (low != null && high != null && low < high) presets.push({ name, title, window: [low, high] });
  };
  add("0.1–99.9 %", "percentiles of the dataset", values?.percentiles["0.1"], values?.percentiles["99.9"]);
  add("± 3 σ", "about the dataset's mean", values?.windows.stddev3?.[0], values?.windows.stddev3?.[1]);
  add("Min–max", "all there is in the dataset", values?.min, values?.max);
  const here = useMemo(() => (visible ? percentilesOf(visible, [1, 99.8], isValid) : undefined), [visible]);
  add("This view", "1st to 99.8th percentile of the pixels in view", here?.[0], here?.[1]);
  return presets;
}

function text(value: number): string {
  return String(Number(value.toPrecision(6)));
}
