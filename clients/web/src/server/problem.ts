/** What went wrong, in the server's words. */
export class Problem extends Error {
  override name = "Problem";

  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail);
  }
}

/** From an answer that is no success: its problem document (RFC 9457), or what can be said without one. */
export async function problemOf(reply: Response): Promise<Problem> {
  try {
    const found = (await reply.json()) as { title?: unknown; detail?: unknown };
    if (typeof found.title === "string" && typeof found.detail === "string")
      return new Problem(reply.status, found.title, found.detail);
  } catch {
    // not JSON: a proxy has answered
  }
  return new Problem(reply.status, reply.statusText || "Error", `the server answered with status ${reply.status}`);
}
