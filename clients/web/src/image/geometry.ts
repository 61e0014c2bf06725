/** Resolution on a flat detector across the beam, from what `/geometry` says (docs/viewer.md). */

import { askJson, urlOf } from "../server/fetch";

export interface Told {
  /** Column and row; pixel `i` covers the numbers from `i` to `i + 1`. */
  beam_center: [number, number] | null;
  /** Metres. */
  distance: number | null;
  /** Width and height in metres. */
  pixel_size: [number, number] | null;
  /** Angstrom. */
  wavelength: number | null;
  /** Where the numbers stand in the file. */
  sources: Record<string, string>;
  missing: string[];
}

/** All that resolutions follow from. */
export interface Geometry {
  center: readonly [column: number, row: number];
  distance: number;
  pixel: readonly [width: number, height: number];
  wavelength: number;
}

export function askGeometry(path: readonly string[], signal?: AbortSignal): Promise<Told> {
  return askJson(urlOf("geometry", path), signal);
}

export function geometryOf(told: Told | undefined): Geometry | undefined {
  if (!told?.beam_center || told.distance === null || !told.pixel_size || told.wavelength === null) return undefined;
  return { center: told.beam_center, distance: told.distance, pixel: told.pixel_size, wavelength: told.wavelength };
}

export interface Resolution {
  /** Degrees. */
  twoTheta: number;
  /** Spacing of lattice planes in angstrom, `λ / (2 sin θ)`; infinite in the beam. */
  d: number;
  /** `2π / d`, in 1/angstrom. */
  q: number;
}

/** At a place on the detector, in pixels. */
export function resolutionAt({ center, distance, pixel, wavelength }: Geometry, column: number, row: number): Resolution {
  const radius = Math.hypot((column - center[0]) * pixel[0], (row - center[1]) * pixel[1]);
  const twoTheta = Math.atan2(radius, distance);
  const d = wavelength / (2 * Math.sin(twoTheta / 2));
  return { twoTheta: (twoTheta * 180) / Math.PI, d, q: (2 * Math.PI) / d };
}

/** Columns and rows from the beam to where planes of a spacing reflect; nothing if they do not reach the detector's plane. */
export function radiiOf({ distance, pixel, wavelength }: Geometry, d: number): readonly [number, number] | undefined {
  const sine = wavelength / (2 * d);
  const twoTheta = 2 * Math.asin(sine);
  if (!(sine < 1) || twoTheta >= Math.PI / 2) return undefined;
  const radius = distance * Math.tan(twoTheta);
  return [radius / pixel[0], radius / pixel[1]];
}

export interface Ring {
  d: number;
  radii: readonly [columns: number, rows: number];
  /** Column and row of its label, on the detector. */
  label: readonly [number, number];
}

const WANTED = 5;
const NICE = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
/** Directions in which a label may stand, the best first. */
const DIRECTIONS = [-90, 90, -45, -135, 45, 135, 0, 180].map((degrees) => (degrees * Math.PI) / 180);

/** Some rings of round spacings, evenly spread over what is seen of the detector. */
export function ringsOn(geometry: Geometry, columns: number, rows: number): Ring[] {
  const corners = [0, columns].flatMap((column) => [0, rows].map((row) => resolutionAt(geometry, column, row)));
  const farthest = Math.max(...corners.map(({ twoTheta }) => twoTheta));
  const most = Math.tan((farthest * Math.PI) / 180);
  const found = new Map<number, Ring>();
  for (let i = 1; i <= WANTED; i += 1) {
    const twoTheta = Math.atan((most * (i - 0.25)) / WANTED);
    const d = nice(geometry.wavelength / (2 * Math.sin(twoTheta / 2)));
    const radii = radiiOf(geometry, d);
    const label = radii && labelOf(geometry, radii, columns, rows);
    if (radii && label) found.set(d, { d, radii, label });
  }
  return [...found.values()];
}

function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = NICE.reduce((best, one) => (Math.abs(Math.log(value / power / one)) < Math.abs(Math.log(value / power / best)) ? one : best));
  return Number((factor * power).toPrecision(3));
}

function labelOf({ center }: Geometry, radii: readonly [number, number], columns: number, rows: number) {
  return DIRECTIONS.map((angle) => [center[0] + radii[0] * Math.cos(angle), center[1] + radii[1] * Math.sin(angle)] as const).find(
    ([column, row]) => column > 0 && row > 0 && column < columns && row < rows,
  );
}
