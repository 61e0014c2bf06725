/** The shader that turns values into colours, and what its tiles share. */

import type { ColorMap } from "@h5web/lib";
import { Color, DataTexture, DoubleSide, FloatType, RedFormat, ShaderMaterial, Vector2 } from "three";
import { paletteOf, type Scale, scaled, SCALES, type Window } from "./colour";
import { NO_VALUE, SATURATED, type TileData } from "./tilecache";

export const BAD_COLOUR = "#8f969e";
export const SATURATED_COLOUR = "#ff2fb3";

export interface Style {
  window: Window;
  scale: Scale;
  map: ColorMap;
  inverted: boolean;
}

const VERTEX = /* glsl */ `
  out vec2 at;
  void main() {
    at = uv;
    gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  }`;

const FRAGMENT = /* glsl */ `
  precision highp float;
  uniform highp sampler2D values;
  uniform vec2 part;
  uniform sampler2D palette;
  uniform vec2 bounds;
  uniform int scale;
  uniform vec3 bad;
  uniform vec3 saturated;
  in vec2 at;

  float scaled(float v) {
    if (scale == 1) return v > 0.0 ? log(v) : -1e38;
    if (scale == 2) return sqrt(max(v, 0.0));
    if (scale == 3) return sign(v) * log(1.0 + abs(v));
    return v;
  }

  void main() {
    float v = texture(values, at * part).r;
    if (v <= -2e38) gl_FragColor = vec4(bad, 1.0);
    else if (v >= 2e38) gl_FragColor = vec4(saturated, 1.0);
    else {
      float part = clamp((scaled(v) - bounds.x) / (bounds.y - bounds.x), 0.0, 1.0);
      gl_FragColor = vec4(texelFetch(palette, ivec2(min(part * 256.0, 255.0), 0), 0).rgb, 1.0);
    }
  }`;

/** Uniforms that all tiles of a picture share: changing them changes all. */
export class Painting {
  readonly uniforms = {
    palette: { value: new DataTexture(paletteOf("Viridis", false), 256, 1) },
    bounds: { value: new Vector2(0, 1) },
    scale: { value: 0 },
    bad: { value: colour(BAD_COLOUR) },
    saturated: { value: colour(SATURATED_COLOUR) },
  };
  private map = "";

  paint({ window, scale, map, inverted }: Style): void {
    this.uniforms.bounds.value.set(scaled(window[0], scale), scaled(window[1], scale));
    this.uniforms.scale.value = SCALES.indexOf(scale);
    const name = `${map} ${inverted}`;
    if (name === this.map) return;
    this.map = name;
    const texture = this.uniforms.palette.value;
    texture.image.data?.set(paletteOf(map, inverted));
    texture.needsUpdate = true;
  }

  /** For one tile; `part` of it is drawn, since the last pixels of coarse levels reach beyond the plane. */
  material({ values, width, height }: TileData, part: readonly [number, number]): ShaderMaterial {
    const texture = new DataTexture(values, width, height, RedFormat, FloatType);
    texture.needsUpdate = true;
    const material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      side: DoubleSide,
      depthTest: false,
      depthWrite: false,
    });
    material.uniforms = { values: { value: texture }, part: { value: new Vector2(...part) }, ...this.uniforms };
    material.addEventListener("dispose", () => texture.dispose());
    return material;
  }

  dispose(): void {
    this.uniforms.palette.value.dispose();
  }
}

export function isValid(value: number): boolean {
  return value > NO_VALUE / 2 && value < SATURATED / 2;
}

/** As it is shown: three would take it for linear light otherwise. */
function colour(text: string): Color {
  const found = new Color();
  found.setStyle(text, "srgb-linear");
  return found;
}
