import { askJson, urlOf } from "./fetch";

/** Something that was found: a file, or what is in one. */
export interface Result {
  file: string;
  /** In the file, beginning with a slash. */
  path: string;
  kind: "file" | "group" | "dataset" | "link" | "other";
  name: string;
  nx_class: string | null;
  shape: number[] | null;
  dtype: string | null;
  matched: "name" | "nx_class" | "attribute" | "value" | "place";
  attribute?: string;
  value?: string;
}

export interface Page {
  results: Result[];
  /** Leads to more; null if there are none. */
  cursor: string | null;
  /** Whether all files have been looked into. */
  complete: boolean;
}

/** What matches words, or beginnings of words, in all files below a folder. */
export function search(question: string, below: string, signal?: AbortSignal): Promise<Page> {
  return askJson(urlOf("api/search", [], { q: question, below, limit: "40" }), signal);
}

/** Whether there is a letter or digit to search for, as the server wants it. */
export function isQuestion(typed: string): boolean {
  return (typed.match(/[\p{L}\p{N}]/gu)?.length ?? 0) > 1;
}
