import { useVisCanvasContext } from "@h5web/lib";
import { useThree } from "@react-three/fiber";
import { useEffect, useLayoutEffect, useRef } from "react";
import { Vector3 } from "three";
import { here, useQuery } from "../location/useplace";
import type { Painting, Style } from "./material";
import { type DrawnAxis, toPosition, toValue } from "./plane";

const QUIET_MS = 300;

/** Colours the tiles, and draws again when that changes. */
export function Paint({ painting, style }: { painting: Painting; style: Style }) {
  const invalidate = useThree((three) => three.invalidate);
  useLayoutEffect(() => {
    painting.paint(style);
    invalidate();
  }, [painting, style, invalidate]);
  return null;
}

interface Part {
  column: number;
  row: number;
  width: number;
}

/**
 * The part that is seen is kept in the URL, as `x=`, `y=` (its middle) and `w=` (its width), in pixels of the plane; and
 * it stays when the canvas becomes smaller or larger.
 */
export function ViewInUrl({ x, y }: { x: DrawnAxis; y: DrawnAxis }) {
  const camera = useThree((three) => three.camera);
  const invalidate = useThree((three) => three.invalidate);
  const context = useVisCanvasContext();
  const { width, height } = context.canvasSize;
  const latest = useRef(context); // its functions are new with every rendering
  const [, change] = useQuery();
  const kept = useRef<Part>(undefined);
  const placed = useRef("");

  useLayoutEffect(() => {
    latest.current = context;
  });

  useLayoutEffect(() => {
    const { dataToWorld, worldToData } = latest.current;
    const part = kept.current ?? partInUrl();
    if (!part) return;
    const [left, right] = [-width / 2, width / 2].map((at) =>
      toPosition(x, worldToData(new Vector3(at, 0, 0)).x),
    ) as [number, number];
    const factor = Math.min(1, part.width / Math.abs(right - left));
    const middle = dataToWorld(new Vector3(toValue(x, part.column), toValue(y, part.row), 0));
    camera.scale.set(factor, factor, 1);
    camera.position.set(middle.x, middle.y, camera.position.z);
    camera.updateMatrixWorld();
    placed.current = camera.matrixWorld.elements.join();
    kept.current = part;
    invalidate();
  }, [camera, invalidate, width, height, x, y]);

  useEffect(() => {
    placed.current ||= camera.matrixWorld.elements.join();
    const look = setInterval(() => {
      const now = camera.matrixWorld.elements.join();
      if (now === placed.current) return;
      placed.current = now;
      const { xVisibleDomain, yVisibleDomain } = latest.current.getVisibleDomains(camera);
      const [left, right] = xVisibleDomain.map((value) => toPosition(x, value)) as [number, number];
      const [top, bottom] = yVisibleDomain.map((value) => toPosition(y, value)) as [number, number];
      const all = camera.scale.x >= 1;
      kept.current = all ? undefined : { column: (left + right) / 2, row: (top + bottom) / 2, width: Math.abs(right - left) };
      const text = (value: number | undefined) => (value === undefined ? "" : String(Number(value.toPrecision(7))));
      change({ x: text(kept.current?.column), y: text(kept.current?.row), w: text(kept.current?.width) });
    }, QUIET_MS);
    return () => clearInterval(look);
  }, [camera, change, x, y]);
  return null;
}

function partInUrl(): Part | undefined {
  const { query } = here();
  const [column, row, width] = ["x", "y", "w"].map((name) => Number(query[name] || NaN)) as [number, number, number];
  return column >= 0 && row >= 0 && width > 0 ? { column, row, width } : undefined;
}
