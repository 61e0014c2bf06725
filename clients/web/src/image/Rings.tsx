import { DataToHtml, SvgElement } from "@h5web/lib";
import { useMemo } from "react";
import { Vector3 } from "three";
import { useQuery } from "../location/useplace";
import { formatShort } from "../server/format";
import { useAsked } from "../server/useasked";
import { askGeometry, type Geometry, geometryOf, ringsOn, resolutionAt, type Told } from "./geometry";
import type { DrawnAxis, PlaneInfo } from "./plane";
import { toValue } from "./plane";

const CROSS = 9;

/** The geometry of the frames that are drawn, if the plane is one. */
export function useGeometry(parts: readonly string[], info: PlaneInfo): { told?: Told | undefined; geometry?: Geometry | undefined } {
  const rank = info.shape.length;
  const isFrame = info.axes.rows === rank - 2 && info.axes.columns === rank - 1;
  const asked = useAsked(isFrame ? `geometry ${parts.join("/")} ${info.version}` : "", (signal) => askGeometry(parts, signal));
  return useMemo(() => ({ told: asked.value, geometry: geometryOf(asked.value) }), [asked.value]);
}

/** Switches the rings; says what is missing where a file tells only some of the geometry. */
export function RingSwitch({ told, geometry }: { told?: Told | undefined; geometry?: Geometry | undefined }) {
  const [query, change] = useQuery();
  if (!told || Object.keys(told.sources).length === 0) return null;
  const from = Object.values(told.sources).join(", ");
  const title = geometry ? `Rings of resolution, from ${from}` : `The file does not say: ${told.missing.join(", ").replaceAll("_", " ")}`;
  return (
    <button
      type="button"
      className="plain-button"
      aria-pressed={query["rings"] === "1"}
      disabled={!geometry}
      title={title}
      onClick={() => change({ rings: query["rings"] === "1" ? "" : "1" })}
    >
      Rings
    </button>
  );
}

/** The beam, and rings of resolution around it, over the picture. */
export function RingLayer({ geometry, x, y }: { geometry: Geometry | undefined; x: DrawnAxis; y: DrawnAxis }) {
  const [query] = useQuery();
  const rings = useMemo(() => (geometry ? ringsOn(geometry, x.extent, y.extent) : []), [geometry, x, y]);
  if (!geometry || query["rings"] !== "1") return null;
  const point = (column: number, row: number) => new Vector3(toValue(x, column), toValue(y, row), 0);
  const [column, row] = geometry.center;
  const beam = point(column, row);
  return (
    <>
      {rings.map(({ d, radii, label }) => (
        <DataToHtml key={d} points={[beam, point(column + radii[0], row + radii[1]), point(...label)]}>
          {(at, edge, text) => (
            <SvgElement>
              <g className="ring" data-testid="ring" data-d={d}>
                <ellipse cx={at.x} cy={at.y} rx={Math.abs(edge.x - at.x)} ry={Math.abs(edge.y - at.y)} />
                <text x={text.x} y={text.y}>
                  {formatShort(d)} Å
                </text>
              </g>
            </SvgElement>
          )}
        </DataToHtml>
      ))}
      <DataToHtml points={[beam]}>
        {(at) => (
          <SvgElement>
            <path className="beam" data-testid="beam" d={`M${at.x - CROSS} ${at.y}h${2 * CROSS}M${at.x} ${at.y - CROSS}v${2 * CROSS}`} />
          </SvgElement>
        )}
      </DataToHtml>
    </>
  );
}

/** Resolution in the middle of a pixel. */
export function ResolutionText({ geometry, row, column }: { geometry: Geometry; row: number; column: number }) {
  const { twoTheta, d, q } = resolutionAt(geometry, column + 0.5, row + 0.5);
  return (
    <span data-testid="resolution">
      d <b>{formatShort(d, 4)}</b> Å · 2θ <b>{formatShort(twoTheta, 4)}</b>° · q <b>{formatShort(q, 4)}</b> Å⁻¹
    </span>
  );
}
