import { type KeyboardEvent, type PointerEvent, useMemo, useRef, useState } from "react";
import { formatShort } from "../server/format";
import { around, histogramOf, scaled, unscaled, type Window } from "./colour";
import { isValid, type Style } from "./material";
import { percentilesOf } from "./profile";

const [WIDTH, HEIGHT] = [200, 84];
const STEP = 0.02;
const NAMES = ["Lowest value shown", "Highest value shown"] as const;

interface Props {
  visible: Float32Array[] | undefined;
  style: Style;
  onWindow: (window: Window) => void;
}

/** How often values occur in what is seen, and two handles for the contrast window: to be dragged, or with arrow keys. */
export function Histogram({ visible, style, onWindow }: Props) {
  const { window, scale } = style;
  const svg = useRef<SVGSVGElement>(null);
  const [held, setHeld] = useState<{ handle: 0 | 1; range: Window }>();
  const most = useMemo(() => (visible ? percentilesOf(visible, [0.1, 99.9], isValid) : undefined), [visible]);
  // while a handle is dragged, the ground does not move
  const range = held?.range ?? around(window, (most as Window | undefined) ?? window, scale);
  const [low, high] = range;
  const { counts } = useMemo(() => histogramOf(visible ?? [], [low, high], scale, isValid), [visible, low, high, scale]);
  const highest = Math.max(1, ...counts);
  const [start, stop] = [scaled(low, scale), scaled(high, scale)];
  const placeOf = (value: number) => ((scaled(value, scale) - start) / (stop - start)) * WIDTH;
  const moveTo = (handle: 0 | 1, part: number) => {
    const value = unscaled(start + (stop - start) * Math.max(0, Math.min(1, part)), scale);
    onWindow(handle === 0 ? [Math.min(value, window[1]), window[1]] : [window[0], Math.max(value, window[0])]);
  };
  const partOf = (event: PointerEvent) => {
    const box = svg.current?.getBoundingClientRect();
    return box ? (event.clientX - box.left) / box.width : 0;
  };
  const press = (event: KeyboardEvent, handle: 0 | 1) => {
    const direction = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!direction) return;
    event.preventDefault();
    moveTo(handle, placeOf(window[handle]) / WIDTH + direction * STEP);
  };
  return (
    <div className="histogram">
      <svg
        ref={svg}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="group"
        aria-label="Histogram of the pixels in view"
        onPointerDown={(event) => {
          const at = partOf(event) * WIDTH;
          const handle = Math.abs(at - placeOf(window[0])) < Math.abs(at - placeOf(window[1])) ? 0 : 1;
          event.currentTarget.setPointerCapture(event.pointerId);
          setHeld({ handle, range });
          moveTo(handle, at / WIDTH);
        }}
        onPointerMove={(event) => held && moveTo(held.handle, partOf(event))}
        onPointerUp={() => setHeld(undefined)}
        onPointerCancel={() => setHeld(undefined)}
      >
        {counts.map((count, i) => {
          // the square root: what is rare can be seen, too
          const height = Math.sqrt(count / highest) * (HEIGHT - 6);
          return <rect key={i} className="bar" x={(i * WIDTH) / counts.length} y={HEIGHT - height} width={WIDTH / counts.length + 0.1} height={height} />;
        })}
        <rect className="outside" x={0} y={0} width={Math.max(0, placeOf(window[0]))} height={HEIGHT} />
        <rect className="outside" x={placeOf(window[1])} y={0} width={Math.max(0, WIDTH - placeOf(window[1]))} height={HEIGHT} />
        {([0, 1] as const).map((handle) => (
          <g
            key={handle}
            className="handle"
            role="slider"
            tabIndex={0}
            aria-label={NAMES[handle]}
            aria-valuenow={window[handle]}
            aria-valuemin={low}
            aria-valuemax={high}
            onKeyDown={(event) => press(event, handle)}
            transform={`translate(${placeOf(window[handle])} 0)`}
          >
            <rect x={-6} width={12} height={HEIGHT} fill="transparent" />
            <line y2={HEIGHT} vectorEffect="non-scaling-stroke" />
            <rect className="grip" x={-3} y={HEIGHT / 2 - 10} width={6} height={20} rx={2} />
          </g>
        ))}
      </svg>
      <div className="histogram-ends" aria-hidden="true">
        <span>{formatShort(low, 3)}</span>
        <span>{formatShort(high, 3)}</span>
      </div>
    </div>
  );
}
