import { useMemo } from "react";
import { encodePath } from "../location/url";
import { shown } from "../server/session";

interface Props {
  app: string;
  file: readonly string[];
  path: string;
}

/** The page of an app that a package has brought, told what to show (docs/viewer.md). */
export function AppFrame({ app, file, path }: Props) {
  const url = useMemo(() => {
    const parameters = new URLSearchParams({ ...shown(), file: encodePath(file), path });
    return new URL(`apps/${app}/index.html?${parameters.toString()}`, document.baseURI).href;
  }, [app, file, path]);
  return <iframe className="app" title={app} src={url} />;
}
