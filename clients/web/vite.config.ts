import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const OUT = "../../chunkserve/web";
const LEAST = 1024;

/** Writes each asset a second and third time, compressed as far as it goes: the server only has to choose. */
function precompressed(): Plugin {
  return {
    name: "precompressed",
    apply: "build",
    closeBundle() {
      const folder = join(import.meta.dirname, OUT, "assets");
      for (const name of readdirSync(folder)) {
        const data = readFileSync(join(folder, name));
        if (data.length < LEAST) continue;
        writeFileSync(join(folder, `${name}.gz`), gzipSync(data, { level: 9 }));
        writeFileSync(
          join(folder, `${name}.br`),
          brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }),
        );
      }
    },
  };
}

/** Two packages that compile code at run time, which our Content-Security-Policy forbids, are replaced. */
function withoutEval() {
  const folder = join(import.meta.dirname, "src/ndarray");
  return [
    { find: /^ndarray$/, replacement: join(folder, "ndarray.ts") },
    { find: /^ndarray-ops$/, replacement: join(folder, "ops.ts") },
  ];
}

export default defineConfig({
  base: "./",
  plugins: [react(), precompressed()],
  resolve: { alias: withoutEval() },
  build: { outDir: OUT, emptyOutDir: true, assetsInlineLimit: 0, chunkSizeWarningLimit: 2000, license: { fileName: "licenses.md" } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
