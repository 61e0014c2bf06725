/** Where we are: all of it stands in the URL, so that every view can be shared, and the back button works. */

export type Mode = "view" | "embed";

export interface Place {
  mode: Mode;
  /** Components of the path below the server's root: folders, file, and the path inside the file. */
  path: readonly string[];
  /** How it is shown; which words there are is up to the views. */
  query: Readonly<Record<string, string>>;
}

export function parsePlace(href: string, base: string): Place {
  const url = new URL(href);
  const below = url.pathname.slice(new URL(base).pathname.length);
  const [first, ...rest] = below.split("/");
  const path = rest.filter((part) => part !== "").map(decodeURIComponent);
  return { mode: first === "embed" ? "embed" : "view", path, query: Object.fromEntries(url.searchParams) };
}

/** The URL of a place, relative to the server's root. */
export function formatPlace(place: Place): string {
  const search = new URLSearchParams(
    Object.entries(place.query).filter(([, value]) => value !== ""),
  ).toString();
  // commas and slashes are legal in queries, and nicer to read
  const query = search.replaceAll("%2C", ",").replaceAll("%2F", "/");
  return `${place.mode}/${encodePath(place.path)}${query ? `?${query}` : ""}`;
}

export function encodePath(path: readonly string[]): string {
  return path.map(encodeURIComponent).join("/");
}

/** Components of a path as HDF5 writes it. */
export function splitPath(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}
