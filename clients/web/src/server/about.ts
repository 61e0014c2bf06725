import { askJson, urlOf } from "./fetch";
import { useAsked } from "./useasked";

/** When an app is offered: if all of this is true. What is empty does not matter. */
export interface Selector {
  kinds: string[];
  rank: [least: number, most: number] | null;
  sides: number[];
  longest: number;
  nx_class: string[];
  attributes: Record<string, string>;
  score: number;
}

export interface App {
  name: string;
  title: string;
  /** Whether it has a page of its own, at `apps/{name}/index.html`; else it is part of the viewer. */
  page: boolean;
  selects: Selector[];
}

export interface About {
  version: string;
  /** Whether there are access rules. */
  access: boolean;
  /** Who asks, as the server knows them; empty for everybody. */
  user: string;
  apps: App[];
}

let asked: Promise<About> | undefined;

export function about(): Promise<About> {
  asked ??= askJson<About>(urlOf("api/server", []));
  asked.catch(() => (asked = undefined));
  return asked;
}

export function useAbout(): About | undefined {
  return useAsked("about", about).value;
}
