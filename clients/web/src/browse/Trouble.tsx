import { Problem } from "../server/problem";
import { Link } from "./Link";

/** What went wrong, and what can be done. */
export function Trouble({ error, small = false }: { error: Error; small?: boolean }) {
  const title = error instanceof Problem ? error.title : "No answer";
  const detail = error instanceof Problem ? error.detail : `The server cannot be reached: ${error.message}`;
  if (small)
    return (
      <p className="trouble small" role="alert">
        {title}: {detail}
      </p>
    );
  return (
    <main className="trouble" role="alert">
      <h1>{title}</h1>
      <p>{detail}</p>
      <p>
        <button type="button" onClick={() => window.location.reload()}>
          Try again
        </button>{" "}
        <Link to={[]}>All files</Link>
      </p>
    </main>
  );
}
