import { encodePath } from "../location/url";
import { problemOf } from "./problem";
import { headers, shown } from "./session";

/** Patience with levels and files that are not ready (503): tries, and the least seconds between two. */
const TRIES = 20;
const PAUSE = 1;

/** The absolute URL of a face for a path, with parameters; empty ones are left out. */
export function urlOf(face: string, path: readonly string[], parameters: Record<string, string> = {}): string {
  return plainUrl(face, path, { ...parameters, ...shown() });
}

/** The same without what shows who asks: for links that are signed, or shown to people. */
export function plainUrl(face: string, path: readonly string[], parameters: Record<string, string> = {}): string {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "")).toString();
  const tail = query.replaceAll("%2C", ",").replaceAll("%3A", ":");
  return new URL(`${face}/${encodePath(path)}${tail ? `?${tail}` : ""}`, document.baseURI).href;
}

/** An answer, once the server is ready to give it. */
export async function ask(url: string, signal?: AbortSignal): Promise<Response> {
  for (let tried = 1; ; tried += 1) {
    const reply = await fetch(url, { signal: signal ?? null, headers: headers() });
    if (reply.ok) return reply;
    if (reply.status !== 503 || tried === TRIES) throw await problemOf(reply);
    await pause(Number(reply.headers.get("retry-after")) || PAUSE, signal);
  }
}

export async function askJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  return (await (await ask(url, signal)).json()) as T;
}

function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
