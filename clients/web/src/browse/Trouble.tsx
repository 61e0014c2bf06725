import { here } from "../location/useplace";
import { Problem } from "../server/problem";
import { Link } from "./Link";
import { LogIn } from "./LogIn";

interface Props {
  error: Error;
  /** A line of its own in a view. */
  small?: boolean;
  /** In a page that has a `main` already. */
  inside?: boolean;
}

/** What went wrong, and what can be done. */
export function Trouble({ error, small = false, inside = false }: Props) {
  const title = error instanceof Problem ? error.title : "No answer";
  const detail = error instanceof Problem ? error.detail : `The server cannot be reached: ${error.message}`;
  if (small)
    return (
      <p className="trouble small" role="alert">
        {title}: {detail}
      </p>
    );
  const Element = inside ? "div" : "main";
  return (
    <Element className="trouble">
      <div role="alert">
        <h1>{title}</h1>
        <p>{detail}</p>
        {error instanceof Problem && error.status === 404 && <p>It may have been moved, never been here, or not be for everybody.</p>}
      </div>
      <p>
        <button type="button" onClick={() => window.location.reload()}>
          Try again
        </button>{" "}
        <Link to={[]}>All files</Link>
      </p>
      {here().mode === "embed" && <LogIn />}
    </Element>
  );
}
