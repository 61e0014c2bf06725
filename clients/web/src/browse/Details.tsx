import { splitPath } from "../location/url";
import { formatFloat32, formatNumber, formatShape, formatSize } from "../server/format";
import { ask, urlOf } from "../server/fetch";
import { type DatasetNode, type MetaNode } from "../server/meta";
import { useAsked } from "../server/useasked";
import { type Cell, cellsOf, sizeOf, type Type, typeName, type Value } from "../server/values";
import { Link } from "./Link";
import { nxClass } from "./tree";

const MOST_SHOWN = 24;

/** What there is to know about a node: its header, its attributes, its members. */
export function Details({ node, path, file }: { node: MetaNode; path: string; file: readonly string[] }) {
  return (
    <div className="details">
      <h1>{path === "/" ? file.at(-1) : path.split("/").at(-1)}</h1>
      <p className="node-kind">{describe(node)}</p>
      {node.kind === "dataset" && <Header dataset={node} file={file} path={path} />}
      {"attributes" in node && <Attributes attributes={node.attributes} />}
      {node.kind === "group" && <Members node={node} path={path} file={file} />}
    </div>
  );
}

function describe(node: MetaNode): string {
  switch (node.kind) {
    case "group":
      return nxClass(node) ? `Group, ${nxClass(node) ?? ""}` : "Group";
    case "dataset":
      return `Dataset, ${formatShape(node.shape)}, ${typeName(node.type)}`;
    case "datatype":
      return `Named type, ${typeName(node.type)}`;
    case "broken":
      return `Unreadable: ${node.reason}`;
    case "same":
      return `The same as ${node.path}`;
    default:
      return `Link to ${node.file ?? ""}${node.path ?? ""}: ${node.reason ?? "not followed"}`;
  }
}

function Header({ dataset, file, path }: { dataset: DatasetNode; file: readonly string[]; path: string }) {
  const elements = (dataset.shape ?? []).reduce((a, b) => a * b, 1);
  const rows: [string, string][] = [
    ["Shape", formatShape(dataset.shape)],
    ["Type", typeName(dataset.type)],
    ["Elements", dataset.shape === null ? "none" : `${elements.toLocaleString()}, ${formatSize(elements * sizeOf(dataset.type))}`],
    ["Layout", dataset.chunks ? `chunks of ${dataset.chunks.join(" × ")}` : dataset.layout],
  ];
  if (dataset.filters.length) rows.push(["Filters", dataset.filters.map((f) => f.name || String(f.id)).join(", ")]);
  if (dataset.stored !== null) rows.push(["Stored", formatSize(dataset.stored)]);
  const small = dataset.shape !== null && elements > 0 && elements <= MOST_SHOWN;
  return (
    <>
      {small && <SmallValue file={file} path={path} dataset={dataset} />}
      <table className="facts">
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

/** The value of a scalar, or of a few elements. */
function SmallValue({ file, path, dataset }: { file: readonly string[]; path: string; dataset: DatasetNode }) {
  const url = urlOf("slice", [...file, ...splitPath(path)], { format: "json" });
  const found = useAsked(url, async (signal) => JSON.stringify(await (await ask(url, signal)).json()));
  const unit = dataset.attributes["units"];
  if (found.state !== "there") return null;
  return (
    <p className="big-value">
      {found.value.replace(/^"|"$/g, "")} {unit && <span className="unit">{formatValue(unit)}</span>}
    </p>
  );
}

function Attributes({ attributes }: { attributes: Record<string, Value> }) {
  const rows = Object.entries(attributes);
  if (rows.length === 0) return <p className="nothing">No attributes.</p>;
  return (
    <section>
      <h2>Attributes</h2>
      <table className="attributes">
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{formatValue(value)}</td>
              <td className="type">
                {typeName(value.type)}
                {value.shape?.length ? ` (${value.shape.join(" × ")})` : ""}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Members({ node, path, file }: { node: MetaNode & { kind: "group" }; path: string; file: readonly string[] }) {
  const members = Object.entries(node.members ?? {});
  if (members.length === 0) return <p className="nothing">{node.members ? "No members." : "Too many members to list."}</p>;
  return (
    <section>
      <h2>Members</h2>
      <table className="attributes members">
        <tbody>
          {members.slice(0, 1000).map(([name, member]) => (
            <tr key={name}>
              <th scope="row">
                <Link to={[...file, ...splitPath(path), name]}>{name}</Link>
              </th>
              <td>{describe(member)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** A value as text: some of it, if it is long. */
function formatValue(value: Value): string {
  if (value.omitted !== undefined) return `not shown: ${value.omitted}`;
  if (value.shape === null) return "empty";
  const cells = cellsOf(value, MOST_SHOWN + 1);
  const shown = cells.slice(0, MOST_SHOWN).map((cell) => formatCell(cell, value.type));
  const text = shown.join(", ") + (cells.length > MOST_SHOWN ? ", …" : "");
  return value.shape.length === 0 ? text : `[${text}]`;
}

export function formatCell(cell: Cell, type?: Type): string {
  if (cell === null) return "";
  if (typeof cell === "string") return cell;
  if (typeof cell === "boolean") return cell ? "true" : "false";
  if (typeof cell === "number") return type?.dtype === "<f4" || type?.dtype === ">f4" ? formatFloat32(cell) : formatNumber(cell);
  if (typeof cell === "bigint") return formatNumber(cell);
  if (Array.isArray(cell)) return `[${cell.map((part) => formatCell(part, type?.base)).join(", ")}]`;
  return Object.entries(cell)
    .map(([name, part]) => `${name}: ${formatCell(part, type?.fields?.find((f) => f.name === name)?.type)}`)
    .join(", ");
}
