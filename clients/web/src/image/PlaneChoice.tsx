import { useQuery } from "../location/useplace";
import type { PlaneInfo } from "./plane";

const METHODS = [
  ["", "mean"],
  ["max", "max"],
  ["min", "min"],
] as const;

/** Which plane is drawn, and what its coarser levels are made of. */
export function PlaneChoice({ info }: { info: PlaneInfo }) {
  const [query, change] = useQuery();
  const { rows, columns } = info.axes;
  const choose = (nextRows: number, nextColumns: number) =>
    change({ axes: `${nextRows},${nextColumns}`, index: "", x: "", y: "", w: "", line: "", region: "" });
  const options = info.shape.map((extent, axis) => (
    <option key={axis} value={axis}>
      {axis}: {extent}
    </option>
  ));
  return (
    <>
      <label className="field">
        Levels
        <select value={query["method"] ?? ""} onChange={(event) => change({ method: event.target.value })}>
          {METHODS.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {info.shape.length > 2 && (
        <>
          <label className="field">
            Rows
            <select value={rows} onChange={(event) => choose(Number(event.target.value), Number(event.target.value) === columns ? rows : columns)}>
              {options}
            </select>
          </label>
          <label className="field">
            Columns
            <select value={columns} onChange={(event) => choose(Number(event.target.value) === rows ? columns : rows, Number(event.target.value))}>
              {options}
            </select>
          </label>
        </>
      )}
      {info.shape.length === 2 && (
        <button type="button" className="plain-button" onClick={() => choose(columns, rows)}>
          Swap rows and columns
        </button>
      )}
    </>
  );
}
