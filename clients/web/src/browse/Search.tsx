import { splitPath } from "../location/url";
import { formatShape } from "../server/format";
import { Problem } from "../server/problem";
import { isQuestion, type Page, type Result, search } from "../server/search";
import { useAsked } from "../server/useasked";
import { Link } from "./Link";
import { useSettled } from "./usesettled";

const PAUSE_MS = 150;

/** What is found in all files below a folder, as one types. */
export function Search({ typed, below }: { typed: string; below: string }) {
  const question = useSettled(typed.trim(), PAUSE_MS);
  const asked = isQuestion(question) ? question : "";
  const found = useAsked(asked && `search ${below}: ${asked}`, (signal) => search(asked, below, signal));
  if (!asked || isWithout(found.error)) return null;
  return (
    <section className="found" aria-label="Found in all files">
      <h2>
        In all files{below && ` below ${below}`} <span className="count" role="status">{summary(found.value)}</span>
      </h2>
      {found.error && <p className="nothing">{found.error.message}</p>}
      <ul>
        {found.value?.results.map((result) => (
          <li key={`${result.file}:${result.path}:${result.kind}`}>
            <Row result={result} />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Whether the server has no search at all. */
function isWithout(error: Error | undefined): boolean {
  return error instanceof Problem && error.status === 404;
}

function summary(page: Page | undefined): string {
  if (!page) return "";
  const count = `${page.results.length}${page.cursor === null ? "" : " and more"}`;
  return page.complete ? count : `${count}, still indexing`;
}

function Row({ result }: { result: Result }) {
  const inside = result.kind === "file" ? "" : result.path;
  return (
    <Link className="result" to={[...splitPath(result.file), ...splitPath(inside)]}>
      <span className={`kind ${result.kind === "file" ? "hdf5" : result.kind}`} aria-hidden="true" />
      <span className="name">{result.name}</span>
      <span className="facts">{factsOf(result)}</span>
      <span className="where">
        {result.file}
        {inside}
      </span>
    </Link>
  );
}

function factsOf(result: Result): string {
  const facts: string[] = [];
  if (result.nx_class) facts.push(result.nx_class);
  if (result.dtype) facts.push(`${formatShape(result.shape)} ${result.dtype}`);
  if (result.matched === "attribute") facts.push(`${result.attribute ?? ""}: ${result.value ?? ""}`);
  if (result.matched === "value") facts.push(result.value ?? "");
  return facts.join(" · ");
}
