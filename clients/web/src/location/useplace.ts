import { useCallback, useMemo, useSyncExternalStore } from "react";
import { formatPlace, parsePlace, type Place } from "./url";

/** Browsers refuse to write the URL more than some times a second; a slider moves more often than that. */
const WRITTEN_EVERY_MS = 200;

let current = window.location.href;
let flushing: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

window.addEventListener("popstate", () => moveTo(window.location.href));
window.addEventListener("pagehide", flush);

function moveTo(href: string): void {
  current = href;
  for (const listener of listeners) listener();
}

function flush(): void {
  clearTimeout(flushing);
  flushing = undefined;
  if (current !== window.location.href) window.history.replaceState(null, "", current);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Go to a place: into the history, or in place of where we are. */
export function go(place: Place, replace = false): void {
  const { href } = new URL(formatPlace(place), document.baseURI);
  if (href === current) return;
  if (replace) {
    moveTo(href);
    flushing ??= setTimeout(flush, WRITTEN_EVERY_MS);
    return;
  }
  flush();
  window.history.pushState(null, "", href);
  moveTo(href);
}

export function here(): Place {
  return parsePlace(current, document.baseURI);
}

export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => current);
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
