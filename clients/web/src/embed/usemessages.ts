import { useEffect } from "react";
import { withoutCredentials } from "../location/carried";
import { formatPlace, type Place } from "../location/url";
import { messageOf } from "./message";

const QUIET_MS = 100;

/** Tells the page around an embedded view what is looked at, whenever that changes (docs/viewer.md). */
export function useMessages(place: Place): void {
  useEffect(() => {
    if (place.mode !== "embed" || window.parent === window) return;
    const url = new URL(formatPlace({ ...place, mode: "view", query: withoutCredentials(place.query) }), document.baseURI).href;
    // whoever may embed the page may read its data, too: nothing here is secret from them
    const timer = setTimeout(() => window.parent.postMessage(messageOf(place, url), "*"), QUIET_MS);
    return () => clearTimeout(timer);
  }, [place]);
}
