import { lazy, Suspense } from "react";
import { useQuery } from "../location/useplace";
import { splitPath } from "../location/url";
import { type DatasetNode, lookInto, type Meta, type MetaNode } from "../server/meta";
import { useAsked } from "../server/useasked";
import { textOf } from "../server/values";
import { defaultPlot } from "./defaultplot";
import { Details } from "./Details";
import { AppFrame } from "../embed/AppFrame";
import { OpenIn } from "../open/OpenIn";
import { about, type App } from "../server/about";
import { Trouble } from "./Trouble";
import { above, nxClass } from "./tree";
import { type View, viewsOf } from "./views";

const loadImageView = () => import("../image/ImageView");
const ImageView = lazy(loadImageView);
const LineView = lazy(() => import("../line/LineView"));
const MapView = lazy(() => import("../map/MapView"));
const TableView = lazy(() => import("../table/TableView"));
const H5WebView = lazy(() => import("../h5web/H5WebView"));

/** Most files open with an image: who opens one fetches the code while the server looks into it. */
export function prepare(): void {
  loadImageView().catch(() => undefined); // asked again when it is needed
}

export interface ViewProps {
  /** Components of the file's path. */
  file: readonly string[];
  /** The dataset's path in it, beginning with a slash. */
  path: string;
  dataset: DatasetNode;
  /** Name and unit of the values. */
  label: string;
}

interface Props {
  file: readonly string[];
  inside: string;
  embedded?: boolean;
}

interface Shown {
  /** The node that the URL names. */
  meta: Meta;
  /** The dataset that is drawn for it: itself, or its default plot. */
  plot?: { path: string; dataset: DatasetNode };
  /** The ways to look at it, the best first. */
  views: View[];
}

/** A node of a file: tabs with the views that fit, the best one open. */
export function NodePage({ file, inside, embedded = false }: Props) {
  const [query, change] = useQuery();
  const found = useAsked(`node ${file.join("/")}:${inside}`, () => show(file, inside));
  if (found.state === "failed") return <Trouble error={found.error} inside />;
  if (found.state === "waiting") return <p className="waiting" role="status" aria-label="Loading" />;
  const { plot, views } = found.value;
  const view = views.find(({ name }) => name === query["as"]) ?? views[0] ?? DETAILS;
  return (
    <div className="node">
      {view.name !== "details" && <h1 className="hidden">{splitPath(inside).at(-1) ?? file.at(-1)}</h1>}
      {!embedded && (
        <div className="node-head">
          <div role="tablist" aria-label="Views" className="tabs">
            {views.map(({ name, title }) => (
              <button
                key={name}
                type="button"
                role="tab"
                id={`tab-${name}`}
                aria-selected={name === view.name}
                aria-controls="view"
                onClick={() => change({ as: name })}
              >
                {title}
              </button>
            ))}
          </div>
          {plot && plot.path !== inside && <p className="default-note">default plot: {plot.path}</p>}
          <span className="spring" />
          <OpenIn file={file} path={plot && view.name !== "details" ? plot.path : inside} dataset={plot?.dataset} />
        </div>
      )}
      <div className="view" role="tabpanel" id="view" aria-labelledby={embedded ? undefined : `tab-${view.name}`}>
        <Suspense fallback={<p className="waiting" role="status" aria-label="Loading" />}>
          <Shower view={view} file={file} inside={inside} shown={found.value} />
        </Suspense>
      </div>
    </div>
  );
}

function Shower({ view, file, inside, shown }: { view: View; file: readonly string[]; inside: string; shown: Shown }) {
  const { meta, plot } = shown;
  const { name } = view;
  if (view.page) return <AppFrame key={`${file.join("/")}:${plot?.path ?? inside}`} app={name} file={file} path={plot?.path ?? inside} />;
  if (name === "h5web") return <H5WebView key={`${file.join("/")}:${inside}`} file={file} path={inside} dataset={plot?.dataset} />;
  if (name === "details" || !plot) return <Details node={meta.node} path={inside} file={file} />;
  const props: ViewProps = { file, path: plot.path, dataset: plot.dataset, label: labelOf(plot.path, plot.dataset) };
  const key = `${file.join("/")}:${plot.path}`;
  if (name === "map") return <MapView key={key} {...props} />;
  if (name === "image") return <ImageView key={key} {...props} />;
  if (name === "line") return <LineView key={key} {...props} />;
  return <TableView key={key} {...props} />;
}

async function show(file: readonly string[], inside: string): Promise<Shown> {
  const look = async (path: string) => (await lookInto([...file, ...splitPath(path)])).node;
  const meta = await lookInto([...file, ...splitPath(inside)]);
  const path = await defaultPlot(look, inside).catch(() => undefined);
  const dataset = path === undefined ? undefined : await look(path);
  const { apps } = await about();
  if (path === undefined || dataset?.kind !== "dataset") {
    if (meta.node.kind !== "group") return { meta, views: [DETAILS] };
    return { meta, views: viewsOf(apps, { classes: [nxClass(meta.node)] }) };
  }
  const classes = [nxClass(meta.node), usesClasses(apps) ? await classAbove(look, path) : undefined];
  return { meta, plot: { path, dataset }, views: viewsOf(apps, { dataset, classes }) };
}

const DETAILS: View = { name: "details", title: "Details", page: false };

/** Whether an app wants to know the class of the group that a dataset is in, which may be one more question. */
function usesClasses(apps: readonly App[]): boolean {
  return apps.some((app) => app.selects.some((selector) => selector.nx_class.length > 0));
}

async function classAbove(look: (path: string) => Promise<MetaNode>, path: string): Promise<string | undefined> {
  const group = await look(above(path).at(-1) ?? "/").catch(() => undefined);
  return group && nxClass(group);
}

function labelOf(path: string, dataset: DatasetNode): string {
  const name = textOf(dataset.attributes["long_name"]) ?? path.split("/").at(-1) ?? "";
  const unit = textOf(dataset.attributes["units"]);
  return unit ? `${name} (${unit})` : name;
}
