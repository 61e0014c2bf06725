import iconUrl from "../icon.svg";
import { Link } from "./Link";
import { LogIn } from "./LogIn";

interface Props {
  path: readonly string[];
  /** How many components lead to the file, if there is one. */
  fileAt: number | undefined;
}

/** Where we are, each step a link. */
export function Header({ path, fileAt }: Props) {
  return (
    <header className="header">
      <Link to={[]} className="brand">
        <img src={iconUrl} alt="" width="22" height="22" />
        <span>chunkserve</span>
      </Link>
      <nav aria-label="Path" className="crumbs">
        <ol>
          {path.map((name, i) => (
            <li key={i} className={i + 1 === fileAt ? "file" : undefined}>
              <Link to={path.slice(0, i + 1)} aria-current={i + 1 === path.length ? "page" : undefined}>
                {name}
              </Link>
            </li>
          ))}
        </ol>
      </nav>
      <span className="spring" />
      <LogIn />
    </header>
  );
}
