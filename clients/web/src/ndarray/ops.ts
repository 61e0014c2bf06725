/** The package `ndarray-ops` in what H5Web uses of it; see `ndarray.ts`. */

import type { View } from "./ndarray";

/** Copy the elements of an array into another of the same shape. */
export function assign(to: View, from: View): void {
  const at = new Array<number>(to.dimension).fill(0);
  for (let left = to.size; left > 0; left -= 1) {
    to.data[to.index(...at)] = from.data[from.index(...at)];
    for (let axis = to.dimension - 1; axis >= 0; axis -= 1) {
      at[axis] = (at[axis] ?? 0) + 1;
      if ((at[axis] ?? 0) < (to.shape[axis] ?? 1)) break;
      at[axis] = 0;
    }
  }
}
