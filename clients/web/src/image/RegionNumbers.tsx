import { formatCount, formatShort } from "../server/format";
import { numberOf, type Reduced, reduce } from "../server/reduce";
import { useAsked } from "../server/useasked";
import { Trouble } from "../browse/Trouble";
import type { Region } from "./profile";
import type { Scene } from "./TileLayer";

const OPERATIONS = ["count", "sum", "mean", "std", "min", "max"] as const;

interface Props {
  region: Region;
  parts: readonly string[];
  scene: Scene;
  label: string;
  onClose: () => void;
}

/** Statistics of the elements in a box, computed on the server from all of them. */
export function RegionNumbers({ region, parts, scene, label, onClose }: Props) {
  const sel = selectionOf(scene, region);
  const asked = useAsked<Reduced>(`reduce ${parts.join("/")} ${sel}`, (signal) => reduce(parts, OPERATIONS, { sel, valid: "1" }, signal));
  const { top, bottom, left, right } = region;
  return (
    <section className="tool-result region" aria-label="Region">
      <div className="tool-head">
        <b>Region</b> rows {top} to {bottom - 1}, columns {left} to {right - 1}: {bottom - top} × {right - left}
        <span className="spring" />
        <button type="button" className="plain-button" onClick={onClose}>
          Close
        </button>
      </div>
      {asked.error && <Trouble error={asked.error} small />}
      {asked.state === "waiting" && <p className="hint">computing …</p>}
      {asked.value && (
        <dl className="numbers" data-testid="region" title={label}>
          {OPERATIONS.map((name) => (
            <div key={name}>
              <dt>{name === "count" ? "measured" : name}</dt>
              <dd>{show(name, numberOf(asked.value, name))}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

function show(name: string, value: number | string | undefined): string {
  if (value === undefined) return "none";
  if (typeof value === "string") return value;
  return name === "count" ? formatCount(value) : formatShort(value, 10);
}

/** The box as a selection of the dataset: one part for each axis. */
export function selectionOf({ info, wish }: Scene, { top, bottom, left, right }: Region): string {
  const index = wish.index.split(",").map(Number);
  let next = 0;
  return info.shape
    .map((_, axis) => {
      if (axis === info.axes.rows) return `${top}:${bottom}`;
      if (axis === info.axes.columns) return `${left}:${right}`;
      const at = index[next] ?? 0;
      next += 1;
      return String(at || 0);
    })
    .join(",");
}
