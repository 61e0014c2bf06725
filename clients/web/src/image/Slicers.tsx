import { useEffect, useMemo, useState } from "react";
import { useQuery } from "../location/useplace";
import { axisName, type Ruler, valueAt, type Wish } from "./plane";

const AHEAD = 3;
const FASTEST_MS = 90;

interface Props {
  info: { shape: number[]; axes: { names: string[]; rulers: (Ruler | null)[] } };
  /** The axes that are drawn. */
  drawn: readonly number[];
  names: readonly string[];
  complete: boolean;
  onAhead?: (ahead: readonly Wish[]) => void;
}

/** A slider for each axis that is not drawn; those next in its direction are fetched ahead, and it can play. */
export function Slicers({ info, drawn, names, complete, onAhead }: Props) {
  const [query, change] = useQuery();
  const others = info.shape.map((_, axis) => axis).filter((axis) => !drawn.includes(axis));
  const [text, axes, method] = [query["index"] ?? "", query["axes"] ?? "", query["method"] ?? ""];
  const index = useMemo(() => {
    const told = text.split(",").map(Number);
    return others.map((axis, i) => Math.min(told[i] || 0, (info.shape[axis] ?? 1) - 1));
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the axes follow from the plane
  }, [text, info]);
  const [moved, setMoved] = useState({ slot: 0, step: 1 });
  const [playing, setPlaying] = useState(false);
  const extent = (slot: number) => info.shape[others[slot] ?? 0] ?? 1;

  const move = (slot: number, to: number) => {
    const next = [...index];
    const from = next[slot] ?? 0;
    next[slot] = Math.max(0, Math.min(extent(slot) - 1, to));
    setMoved({ slot, step: to < from ? -1 : 1 });
    change({ index: next.join(",") });
  };

  const ahead = useMemo(() => {
    const places = Array.from({ length: AHEAD }, (_, i) => (index[moved.slot] ?? 0) + (i + 1) * moved.step);
    return places
      .filter((at) => others.length > 0 && at >= 0 && at < extent(moved.slot))
      .map((at) => ({ axes, method, index: index.map((old, slot) => (slot === moved.slot ? at : old)).join(",") }));
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the axes follow from the plane
  }, [index, moved, axes, method, info]);
  useEffect(() => {
    onAhead?.(ahead);
  }, [ahead, onAhead]);

  useEffect(() => {
    if (!playing || !complete) return;
    const timer = setTimeout(() => {
      move(moved.slot, ((index[moved.slot] ?? 0) + 1) % extent(moved.slot));
    }, FASTEST_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- one step for each plane that stands
  }, [playing, complete, index, moved.slot]);

  if (others.length === 0) return null;
  return (
    <div className="slicers">
      {others.map((axis, slot) => {
        const name = axisName(info, axis, names) || `axis ${axis}`;
        const at = index[slot] ?? 0;
        const active = playing && moved.slot === slot;
        return (
          <div key={axis} className="slicer">
            <button
              type="button"
              className="plain-button play"
              aria-label={active ? `Stop ${name}` : `Play ${name}`}
              onClick={() => {
                setMoved({ slot, step: 1 });
                setPlaying(!active);
              }}
            >
              {active ? "❚❚" : "▶"}
            </button>
            <label htmlFor={`slicer-${axis}`}>{name}</label>
            <input
              id={`slicer-${axis}`}
              type="range"
              min={0}
              max={extent(slot) - 1}
              value={at}
              onChange={(event) => move(slot, Number(event.target.value))}
            />
            <input
              type="number"
              aria-label={`${name}, number`}
              min={0}
              max={extent(slot) - 1}
              value={at}
              onChange={(event) => move(slot, Number(event.target.value))}
            />
            <span className="of">of {extent(slot)}</span>
            <output className="coordinate" htmlFor={`slicer-${axis}`}>
              {valueAt(info.axes.rulers[axis], at)}
            </output>
          </div>
        );
      })}
    </div>
  );
}
