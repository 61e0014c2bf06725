import { ColorBar, DefaultInteractions, ResetZoomButton, VisCanvas } from "@h5web/lib";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Trouble } from "../browse/Trouble";
import type { ViewProps } from "../browse/NodePage";
import { useQuery } from "../location/useplace";
import { splitPath } from "../location/url";
import { formatShort } from "../server/format";
import { LIB_SCALE } from "./colour";
import { ContrastPanel } from "./ContrastPanel";
import { Paint, ViewInUrl } from "./CanvasParts";
import { CursorSensor, Pointer, Readout } from "./Readout";
import { Painting } from "./material";
import { aspectOf, drawnAxis, type PlaneInfo, type Wish } from "./plane";
import { RingLayer, RingSwitch, useGeometry } from "./Rings";
import { Slicers } from "./Slicers";
import { type Scene, type Seen, TileLayer } from "./TileLayer";
import type { TileCache } from "./tilecache";
import { ToolBar, ToolLayer, ToolResult, useTool } from "./Tools";
import { useAxisNames } from "./useaxisnames";
import { tilesAlong } from "./profile";
import { usePlane } from "./useplane";
import { useStyle } from "./usestyle";

/** The deep view: any plane of a dataset of any size. */
export default function ImageView({ file, path, dataset, label }: ViewProps) {
  const [query] = useQuery();
  const parts = useMemo(() => [...file, ...splitPath(path)], [file, path]);
  const [axes, index, method] = [query["axes"] ?? "", query["index"] ?? "", query["method"] ?? ""];
  const wish = useMemo(() => ({ axes, index, method }), [axes, index, method]);
  const { info, cache, error } = usePlane(parts, wish);
  const names = useAxisNames(file, path, dataset);
  if (error) return <Trouble error={error} small />;
  if (!info || !cache) return <p className="waiting" role="status" aria-label="Loading" />;
  return <Deep {...{ parts, wish, info, cache, names, label }} />;
}

interface DeepProps {
  parts: readonly string[];
  wish: Wish;
  info: PlaneInfo;
  cache: TileCache;
  names: readonly string[];
  label: string;
}

function Deep({ parts, wish, info, cache, names, label }: DeepProps) {
  const x = useMemo(() => drawnAxis(info, info.axes.columns, names), [info, names]);
  const y = useMemo(() => drawnAxis(info, info.axes.rows, names), [info, names]);
  const tool = useTool();
  const extra = useMemo(() => tilesAlong(tool.line, info), [tool.line, info]);
  const [ahead, setAhead] = useState<readonly Wish[]>([]);
  const scene = useMemo<Scene>(() => ({ info, x, y, wish, ahead, extra }), [info, x, y, wish, ahead, extra]);
  const [seen, setSeen] = useState<Seen>();
  const [pointer] = useState(() => new Pointer());
  const painting = useMemo(() => new Painting(), []);
  useEffect(() => () => painting.dispose(), [painting]);
  const style = useStyle(info);
  const onSeen = useCallback((now: Seen) => setSeen(now), []);
  const failed = cache.error();
  const { told, geometry } = useGeometry(parts, info);
  return (
    <div className="image-view">
      <div className="image-main">
        <ToolBar tool={tool} info={info}>
          <RingSwitch told={told} geometry={geometry} />
        </ToolBar>
        <Slicers info={info} drawn={[info.axes.rows, info.axes.columns]} names={names} complete={seen?.complete ?? false} onAhead={setAhead} />
        <div className="canvas-row">
          <div className="canvas" data-testid="canvas" data-complete={seen?.complete ?? false} data-level={seen?.level}>
            <VisCanvas
              key={`${info.axes.rows},${info.axes.columns}`}
              aspect={aspectOf(info, x, y)}
              abscissaConfig={{ visDomain: ordered(x.from, x.to), isIndexAxis: x.isIndex, flip: x.from > x.to, label: x.label, formatTick }}
              ordinateConfig={{ visDomain: ordered(y.from, y.to), isIndexAxis: y.isIndex, flip: y.from < y.to, label: y.label, formatTick }}
            >
              <DefaultInteractions pan={tool.name === "pan" ? {} : { modifierKey: "Shift" }} selectToZoom={{ modifierKey: "Control" }} />
              <ResetZoomButton />
              <ViewInUrl x={x} y={y} />
              <Paint painting={painting} style={style} />
              <TileLayer scene={scene} cache={cache} painting={painting} onSeen={onSeen} />
              <CursorSensor x={x} y={y} pointer={pointer} />
              <RingLayer geometry={geometry} x={x} y={y} />
              <ToolLayer tool={tool} x={x} y={y} />
            </VisCanvas>
          </div>
          <ColorBar domain={style.window} scaleType={LIB_SCALE[style.scale]} colorMap={style.map} invertColorMap={style.inverted} withBounds />
        </div>
        {failed && <Trouble error={failed} small />}
        <Readout {...{ parts, wish, info, cache, pointer, names, label, geometry }} level={seen?.level ?? 0} />
        <ToolResult tool={tool} parts={parts} scene={scene} cache={cache} label={label} />
      </div>
      <ContrastPanel {...{ parts, wish, info, cache, style, seen }} />
    </div>
  );
}

const formatTick = (value: number) => formatShort(value);

function ordered(a: number, b: number): [number, number] {
  return a < b ? [a, b] : [b, a];
}
