import { type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { go, here } from "../location/useplace";
import { splitPath } from "../location/url";
import { formatShape } from "../server/format";
import { lookEverywhere, lookInto, type MetaNode } from "../server/meta";
import { useAsked } from "../server/useasked";
import { Link } from "./Link";
import { above, isGroup, nxClass, onlyGroup, type Row, rowsOf } from "./tree";
import { useSettled } from "./usesettled";
import { useWindow } from "./usewindow";
import { type Find, finder, isWhole, membersOf } from "./within";

const ROW = 28;
const PAUSE_MS = 150;
const MOST_UNFOLDED = 5;

interface Props {
  file: readonly string[];
  /** The path shown, beginning with a slash. */
  inside: string;
}

/** The groups and datasets of a file. Arrow keys walk, open and close; Enter shows. */
export function Tree({ file, inside }: Props) {
  const [typed, setTyped] = useState("");
  const { members, open, toggle } = useMembers(file, inside);
  const asked = useSettled(typed.trim(), PAUSE_MS);
  const all = useAsked(typed ? `everything in ${file.join("/")}` : "", (signal) => lookEverywhere(file, signal));
  const everything = useMemo(() => (all.value ? membersOf(all.value) : members), [all.value, members]);
  const isCut = useMemo(() => all.value !== undefined && !isWhole(all.value), [all.value]);
  const find = useMemo(() => (typed && asked ? finder(asked) : undefined), [typed, asked]);
  const rows = useMemo(
    () => (find ? rowsOf(everything, open, (name, node) => find(name, node) !== undefined) : rowsOf(members, open)),
    [find, everything, members, open],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const [first, last] = useWindow(scroller, rows.length, ROW);
  const [focused, setFocused] = useState(inside);
  const focusedAt = Math.max(0, rows.findIndex((row) => row.path === focused));

  const focus = (at: number) => {
    const row = rows[at];
    if (!row) return;
    setFocused(row.path);
    scroller.current?.scrollTo({ top: Math.min(scroller.current.scrollTop, at * ROW) });
    requestAnimationFrame(() => document.getElementById(rowId(row.path))?.focus());
  };
  const press = (event: KeyboardEvent) => {
    const row = rows[focusedAt];
    if (!row) return;
    const parent = rows.findLastIndex((other, i) => i < focusedAt && other.depth < row.depth);
    const steps: Record<string, () => void> = {
      ArrowDown: () => focus(focusedAt + 1),
      ArrowUp: () => focus(focusedAt - 1),
      Home: () => focus(0),
      End: () => focus(rows.length - 1),
      ArrowRight: () => (isGroup(row.node) && !row.open ? toggle(row.path) : focus(focusedAt + 1)),
      ArrowLeft: () => (row.open ? toggle(row.path) : focus(parent)),
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };
  return (
    <div className="tree">
      <input
        type="search"
        className="filter"
        placeholder="Names, classes, attributes"
        aria-label="Search in the file: names, classes, attributes"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
      <div className="tree-rows" ref={scroller}>
        <div role="tree" aria-label="Contents of the file" style={{ height: rows.length * ROW }} onKeyDown={press}>
          {rows.slice(first, last).map((row, i) => (
            <TreeRow
              key={row.path}
              row={row}
              find={find}
              to={[...file, ...splitPath(row.path)]}
              selected={row.path === inside}
              focusable={first + i === focusedAt}
              top={(first + i) * ROW}
              onToggle={() => toggle(row.path)}
              onFocus={() => setFocused(row.path)}
            />
          ))}
        </div>
        {find && rows.length === 0 && (
          <p className="nothing" role="status">
            {all.state === "waiting" ? "Looking…" : "Nothing in this file."}
          </p>
        )}
        {isCut && <p className="nothing">The file has more objects than are searched here.</p>}
      </div>
    </div>
  );
}

interface TreeRowProps {
  row: Row;
  find: Find | undefined;
  to: string[];
  selected: boolean;
  focusable: boolean;
  top: number;
  onToggle: () => void;
  onFocus: () => void;
}

function TreeRow({ row, find, to, selected, focusable, top, onToggle, onFocus }: TreeRowProps) {
  const group = isGroup(row.node);
  const said = find?.(row.name, row.node) || hint(row.node);
  return (
    <Link
      to={to}
      id={rowId(row.path)}
      role="treeitem"
      aria-level={row.depth + 1}
      aria-selected={selected}
      aria-expanded={group ? row.open : undefined}
      tabIndex={focusable ? 0 : -1}
      onFocus={onFocus}
      className="tree-row"
      style={{ top, height: ROW, paddingLeft: 8 + row.depth * 16 }}
      title={`${row.name}  ${said}`}
    >
      <span
        className={`twist ${group ? (row.open ? "open" : "closed") : "leaf"}`}
        aria-hidden="true"
        onClick={(event) => {
          if (!group) return;
          event.preventDefault();
          event.stopPropagation();
          onToggle();
        }}
      />
      <span className={`kind ${row.node.kind}`} aria-hidden="true" />
      <span className="name">{row.name}</span>
      <span className="hint">{said}</span>
    </Link>
  );
}

function hint(node: MetaNode): string {
  if (node.kind === "dataset") return node.shape?.length ? formatShape(node.shape) : "";
  if (node.kind === "group") return nxClass(node) ?? "";
  if (node.kind === "broken") return "unreadable";
  return node.kind === "link" ? "broken link" : "";
}

function rowId(path: string): string {
  return `tree:${path}`;
}

/** Members of the groups that were opened. What is above the path shown is open. */
function useMembers(file: readonly string[], inside: string) {
  const [members, setMembers] = useState(new Map<string, Record<string, MetaNode>>());
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(above(inside)));
  const [shown, setShown] = useState(inside);
  if (shown !== inside) {
    setShown(inside);
    setOpen(new Set([...open, ...above(inside)]));
  }
  const name = file.join("/");
  const load = useCallback(
    async (group: string) => {
      const { node } = await lookInto([...splitPath(name), ...splitPath(group)]);
      if (node.kind === "group" && node.members) {
        const found = node.members;
        setMembers((known) => (known.get(group) === found ? known : new Map(known).set(group, found)));
        return found;
      }
      return {};
    },
    [name],
  );
  useEffect(() => {
    const unfold = async (group: string) => {
      for (let next: string | undefined = group, depth = 0; next !== undefined && depth < MOST_UNFOLDED; depth += 1) {
        const only = onlyGroup(next, await load(next));
        if (only !== undefined) setOpen((known) => new Set([...known, only]));
        next = only;
      }
    };
    for (const group of [...above(inside), inside]) unfold(group).catch(() => undefined); // the page says what is wrong
  }, [inside, load]);
  const toggle = (group: string) => {
    const next = new Set(open);
    if (!next.delete(group)) {
      next.add(group);
      load(group).catch(() => go(here()));
    }
    setOpen(next);
  };
  return { members, open, toggle };
}
