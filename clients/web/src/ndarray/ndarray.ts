/** The package `ndarray` in what H5Web uses of it. The original compiles code at run time, which our pages forbid. */

interface Data {
  [at: number]: unknown;
  length: number;
}

/** A view of some data with a shape, C order unless strides say otherwise. */
export class View {
  readonly stride: number[];
  readonly dimension: number;
  readonly dtype: string;

  constructor(
    readonly data: Data,
    readonly shape: number[] = [data.length],
    stride?: number[],
    readonly offset = 0,
  ) {
    this.stride = stride ?? strides(shape);
    this.dimension = shape.length;
    this.dtype = dtypeOf(data);
  }

  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  /** Axes from the one whose elements are closest. */
  get order(): number[] {
    return this.shape.map((_, axis) => axis).sort((a, b) => Math.abs(this.stride[a] ?? 0) - Math.abs(this.stride[b] ?? 0));
  }

  index(...at: number[]): number {
    let found = this.offset;
    for (let axis = 0; axis < this.dimension; axis += 1) found += (at[axis] ?? 0) * (this.stride[axis] ?? 0);
    return found;
  }

  get(...at: number[]): unknown {
    return this.data[this.index(...at)];
  }

  set(...args: unknown[]): unknown {
    const value = args[this.dimension];
    return (this.data[this.index(...(args as number[]))] = value);
  }

  /** Cut axes at an index; those given as null, or not at all, stay. */
  pick(...at: (number | null | undefined)[]): View {
    const kept = this.shape.map((_, axis) => axis).filter((axis) => (at[axis] ?? -1) < 0);
    const offset = at.reduce<number>((sum, i, axis) => sum + Math.max(0, i ?? 0) * (this.stride[axis] ?? 0), this.offset);
    return new View(
      this.data,
      kept.map((axis) => this.shape[axis] ?? 1),
      kept.map((axis) => this.stride[axis] ?? 0),
      offset,
    );
  }

  transpose(...axes: number[]): View {
    const order = this.shape.map((_, i) => axes[i] ?? i);
    return new View(
      this.data,
      order.map((axis) => this.shape[axis] ?? 1),
      order.map((axis) => this.stride[axis] ?? 0),
      this.offset,
    );
  }
}

function strides(shape: readonly number[]): number[] {
  const found = new Array<number>(shape.length);
  let next = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    found[axis] = next;
    next *= shape[axis] ?? 1;
  }
  return found;
}

function dtypeOf(data: Data): string {
  if (Array.isArray(data)) return "array";
  const name = Object.prototype.toString.call(data).slice(8, -1);
  return name.endsWith("Array") ? name.slice(0, -5).toLowerCase().replace("uint8clamped", "uint8_clamped") : "generic";
}

export default function ndarray(data: Data, shape?: number[], stride?: number[], offset?: number): View {
  return new View(data, shape, stride, offset);
}
