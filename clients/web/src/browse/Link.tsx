import type { AnchorHTMLAttributes, MouseEvent } from "react";
import { go, here } from "../location/useplace";
import { formatPlace } from "../location/url";
import { carried } from "../server/session";

interface Props extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> {
  to: readonly string[];
  query?: Record<string, string>;
}

/** A link to another place in the viewer, which needs no new page; opened in a tab of its own it is one. */
export function Link({ to, query = {}, ...rest }: Props) {
  const place = { mode: here().mode, path: to, query: { ...query, ...carried() } };
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(place);
  };
  return <a {...rest} href={formatPlace(place)} onClick={follow} />;
}
