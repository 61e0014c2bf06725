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

/** The part that is seen is kept in the URL, as `x=`, `y=` (its middle) and `w=` (its width), in pixels of the plane. */
export function ViewInUrl({ x, y }: { x: DrawnAxis; y: DrawnAxis }) {
  const camera = useThree((three) => three.camera);
  const invalidate = useThree((three) => three.invalidate);
  const context = useVisCanvasContext();
  const [, change] = useQuery();
  const started = useRef(false);

  useEffect(() => {
    const query = here().query;
    const [column, row, width] = ["x", "y", "w"].map((name) => Number(query[name]));
    if (!started.current && column !== undefined && row !== undefined && width) {
      const all = context.getVisibleDomains(camera).xVisibleDomain;
      const shown = Math.abs(toPosition(x, all[1]) - toPosition(x, all[0]));
      const factor = Math.min(1, width / shown) * camera.scale.x;
      camera.scale.set(factor, factor, 1);
      const middle = context.dataToWorld(new Vector3(toValue(x, column), toValue(y, row), 0));
      camera.position.set(middle.x, middle.y, camera.position.z);
      camera.updateMatrixWorld();
      invalidate();
    }
    started.current = true;
  }, [camera, context, invalidate, x, y]);

  useEffect(() => {
    let known = camera.matrixWorld.elements.join();
    const look = setInterval(() => {
      const now = camera.matrixWorld.elements.join();
      if (now === known) return;
      known = now;
      const { xVisibleDomain, yVisibleDomain } = context.getVisibleDomains(camera);
      const [a, b, c, d] = [...xVisibleDomain.map((v) => toPosition(x, v)), ...yVisibleDomain.map((v) => toPosition(y, v))] as [
        number,
        number,
        number,
        number,
      ];
      const isAll = camera.scale.x >= 1;
      const text = (value: number) => (isAll ? "" : String(Number(value.toPrecision(6))));
      change({ x: text((a + b) / 2), y: text((c + d) / 2), w: text(Math.abs(b - a)) });
    }, QUIET_MS);
    return () => clearInterval(look);
  }, [camera, context, change, x, y]);
  return null;
}
