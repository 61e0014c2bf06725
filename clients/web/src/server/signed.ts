import { askJson, urlOf } from "./fetch";
import { hasCredentials } from "./session";

/** A URL that a browser may follow: with a signature for some minutes, if the server has to know who asks. */
export async function signed(href: string): Promise<string> {
  if (!hasCredentials()) return href;
  const base = new URL(document.baseURI);
  const url = new URL(href, base);
  const below = url.pathname.slice(base.pathname.length) + url.search;
  const found = await askJson<{ url: string }>(urlOf("api/sign", [], { url: below }));
  return new URL(found.url, base).href;
}

/** Have the browser save what is at a URL. */
export async function save(href: string): Promise<void> {
  const link = document.createElement("a");
  link.href = await signed(href);
  link.download = "";
  link.click();
}
