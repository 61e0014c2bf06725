import { askJson, urlOf } from "./fetch";

export interface Entry {
  name: string;
  kind: "folder" | "hdf5" | "file";
  /** Bytes; folders have none. */
  size?: number;
  /** Seconds since 1970; folders have none. */
  modified?: number;
}

export interface Folder {
  kind: "folder";
  path: string;
  entries: Entry[];
}

export interface File {
  kind: "hdf5" | "file";
  path: string;
  /** What follows the file's name, beginning with a slash. */
  inside: string;
  size: number;
  modified: number;
}

export function lookUp(path: readonly string[], signal?: AbortSignal): Promise<Folder | File> {
  return askJson(urlOf("api/files", path), signal);
}
