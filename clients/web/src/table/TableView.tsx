import { useMemo, useState } from "react";
import type { ViewProps } from "../browse/NodePage";
import { Trouble } from "../browse/Trouble";
import { Slicers } from "../image/Slicers";
import { useQuery } from "../location/useplace";
import { splitPath } from "../location/url";
import { askJson, urlOf } from "../server/fetch";
import { formatCount } from "../server/format";
import { useAsked } from "../server/useasked";
import { cellsOfPage, layoutOf, PAGE, pageSelection } from "./table";

/** Values as a table, page by page. */
export default function TableView({ file, path, dataset }: ViewProps) {
  const [query] = useQuery();
  const [first, setFirst] = useState(0);
  const layout = useMemo(() => layoutOf(dataset), [dataset]);
  const shape = dataset.shape ?? [];
  const index = (query["index"] ?? "").split(",").map((word) => Number(word) || 0);
  const sel = pageSelection(shape, index, first, layout.fields !== undefined);
  const url = urlOf("slice", [...file, ...splitPath(path)], { sel, format: "json" });
  const asked = useAsked(url, (signal) => askJson<unknown>(url, signal));
  const last = Math.min(first + PAGE, layout.rows);
  const drawn = layout.fields ? [0] : shape.length >= 2 ? [shape.length - 2, shape.length - 1] : [0];
  const axes = { names: shape.map(() => ""), rulers: shape.map(() => null) };
  return (
    <div className="table-view">
      <div className="toolbar">
        <span>
          rows <b>{formatCount(first)}</b> to <b>{formatCount(last - 1)}</b> of {formatCount(layout.rows)}
        </span>
        <button type="button" className="plain-button" disabled={first === 0} onClick={() => setFirst(Math.max(0, first - PAGE))}>
          Back
        </button>
        <button type="button" className="plain-button" disabled={last >= layout.rows} onClick={() => setFirst(first + PAGE)}>
          Next
        </button>
        <label>
          Go to row{" "}
          <input
            className="filter"
            type="number"
            min={0}
            max={layout.rows - 1}
            onChange={(event) => setFirst(Math.max(0, Math.min(layout.rows - 1, Number(event.target.value) || 0)))}
          />
        </label>
      </div>
      <Slicers info={{ shape, axes }} drawn={drawn} names={[]} complete={asked.state === "there"} />
      {asked.error && <Trouble error={asked.error} small />}
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Values">
        <table className="values">
          <thead>
            <tr>
              <th scope="col">#</th>
              {layout.columns.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cellsOfPage(asked.value ?? [], layout).map((row, i) => (
              <tr key={i}>
                <th scope="row">{first + i}</th>
                {row.map((cell, column) => (
                  <td key={column}>{show(cell)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function show(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "string" ? cell : JSON.stringify(cell);
}
