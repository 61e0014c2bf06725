/** How much of a dataset H5Web can take at once: it fetches a whole plane and makes one texture of it. */

const MOST_BYTES = 64 * 2 ** 20;

/** Extents of what H5Web draws of a dataset, if that is an image. */
export function planeOf(shape: readonly number[]): readonly [number, number] | undefined {
  const [height, width] = shape.slice(-2);
  return shape.length >= 2 && height !== undefined && width !== undefined ? [height, width] : undefined;
}

/** The finest level whose plane fits into a texture and is not too long in coming. */
export function levelForTexture(plane: readonly [number, number], itemsize: number, maxTexture: number): number {
  const [height, width] = plane;
  for (let level = 0; ; level += 1) {
    const [h, w] = [Math.ceil(height / 2 ** level), Math.ceil(width / 2 ** level)];
    if (Math.max(h, w) <= maxTexture && h * w * itemsize <= MOST_BYTES) return level;
  }
}
