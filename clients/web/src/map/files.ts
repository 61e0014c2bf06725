/** Maps as files, made in the browser: rows of numbers are all there is to them. */

/** Little-endian float32 image as TIFF 6.0: one strip, one sample, no compression. */
export function tiffOf(values: Float32Array, width: number, height: number): ArrayBuffer {
  const entries: [tag: number, type: 3 | 4, value: number][] = [
    [256, 4, width],
    [257, 4, height],
    [258, 3, 32], // bits per sample
    [259, 3, 1], // no compression
    [262, 3, 1], // zero is black
    [273, 4, 0], // where the strip begins
    [277, 3, 1], // samples per pixel
    [278, 4, height], // rows per strip
    [279, 4, values.byteLength],
    [339, 3, 3], // floating point
  ];
  const start = 8 + 2 + entries.length * 12 + 4;
  const view = new DataView(new ArrayBuffer(start + values.byteLength));
  view.setUint16(0, 0x4949, true);
  view.setUint16(2, 42, true);
  view.setUint32(4, 8, true);
  view.setUint16(8, entries.length, true);
  entries.forEach(([tag, type, value], i) => {
    const at = 10 + 12 * i;
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, 1, true);
    view.setUint32(at + 8, tag === 273 ? start : value, true);
  });
  values.forEach((value, i) => view.setFloat32(start + 4 * i, value, true));
  return view.buffer;
}

export function csvOf(values: ArrayLike<number>, width: number): string {
  const rows: string[] = [];
  for (let at = 0; at < values.length; at += width)
    rows.push(Array.from({ length: width }, (_, i) => String(values[at + i])).join(","));
  return rows.join("\n") + "\n";
}
