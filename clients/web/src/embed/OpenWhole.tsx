import { usePlace } from "../location/useplace";
import { formatPlace } from "../location/url";

/** From an embedded view to the same in a page of its own. */
export function OpenWhole() {
  const place = usePlace();
  return (
    <a className="open-whole" href={formatPlace({ ...place, mode: "view" })} target="_blank" rel="noreferrer">
      open in chunkserve
    </a>
  );
}
