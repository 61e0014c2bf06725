import { useCallback, useMemo, useSyncExternalStore } from "react";
import { formatPlace, parsePlace, type Place } from "./url";

const MOVED = "place";

function subscribe(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  window.addEventListener(MOVED, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(MOVED, listener);
  };
}

/** Go to a place: into the history, or in place of where we are. */
export function go(place: Place, replace = false): void {
  const url = new URL(formatPlace(place), document.baseURI);
  if (url.href === window.location.href) return;
  if (replace) window.history.replaceState(null, "", url);
  else window.history.pushState(null, "", url);
  window.dispatchEvent(new Event(MOVED));
}

export function here(): Place {
  return parsePlace(window.location.href, document.baseURI);
}

export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => window.location.href);
  return useMemo(() => parsePlace(href, document.baseURI), [href]);
}

/** The query, and a way to change some of it without a step in the history. Empty values are left out. */
export function useQuery(): [Place["query"], (changes: Record<string, string>) => void] {
  const { query } = usePlace();
  const change = useCallback((changes: Record<string, string>) => {
    const place = here();
    go({ ...place, query: { ...place.query, ...changes } }, true);
  }, []);
  return [query, change];
}
