/** Parameters of the page's URL that are not the viewer's: credentials and what a portal has added. They stay, wherever one goes. */

const OWN = new Set(
  "as index axes method vmin vmax scale cmap invert x y w line region rings band axis ylog".split(" "),
);

/** Parameters that show who asks, which the server takes from any request. */
const CREDENTIALS = ["token", "sessionId"];

type Parameters = Readonly<Record<string, string>>;

export function carriedOf(query: Parameters): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !OWN.has(name)));
}

export function credentialsOf(query: Parameters): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([name]) => CREDENTIALS.includes(name)));
}

/** A query that may be shown to others. */
export function withoutCredentials(query: Parameters): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !CREDENTIALS.includes(name)));
}
