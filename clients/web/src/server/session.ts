/** Who asks: by an API key or token that was typed in, or by parameters of the page's URL. */

import { carriedOf, credentialsOf } from "../location/carried";

const KEPT = "authorization";

/** Of the page as it was opened: it goes nowhere without them. */
const opened = Object.fromEntries(new URLSearchParams(typeof window === "undefined" ? "" : window.location.search));
const carriedParameters = carriedOf(opened);
const credentials = credentialsOf(opened);
let header = read();

/** Parameters that are passed on to the server by H5Web, and stay in every URL. */
export function carried(): Record<string, string> {
  return carriedParameters;
}

/** Parameters that the server wants with every request. */
export function shown(): Record<string, string> {
  return credentials;
}

/** Headers that show who asks. */
export function headers(): Record<string, string> {
  return header ? { Authorization: header } : {};
}

export function isLoggedIn(): boolean {
  return header !== "";
}

/** Whether links to files have to be signed first: browsers follow them without headers, and with URLs that others see. */
export function hasCredentials(): boolean {
  return header !== "" || Object.keys(credentials).length > 0;
}

/** Kept for as long as the tab is open. */
export function logIn(key: string): void {
  header = `Bearer ${key.trim()}`;
  keep(header);
}

export function logOut(): void {
  header = "";
  keep("");
}

function read(): string {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return ""; // a page of others may have us without storage
  }
}

function keep(value: string): void {
  try {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // then it is kept for as long as the page is
  }
}
