/** Puts onnxruntime-web's WebAssembly files, compressed, and their loaders beside the page. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

import type { Plugin } from "vite";

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("onnxruntime-web"));
const description = JSON.parse(readFileSync(join(folder, "..", "package.json"), "utf8")) as {
  version: string;
};

/** Version of the engine: in the names of its files, so that caches never mix two versions. */
export const ENGINE_VERSION = description.version;

/** Builds of the engine: plain, and with WebGPU over one of two ways to wait for the device. */
const BUILDS = [
  "ort-wasm-simd-threaded",
  "ort-wasm-simd-threaded.jspi",
  "ort-wasm-simd-threaded.asyncify",
] as const;

/**
 * A rollup plugin.
 *
 * The files are compressed here and unpacked by the page: static hosts often send WebAssembly as it
 * is, 14 to 27 MB instead of 4 to 7. Loaders are called `.js`, because hosts that do not know
 * `.mjs` send it as a type that browsers refuse to run.
 */
export function engineFiles(): Plugin {
  return {
    name: "engine-files",
    apply: "build",
    generateBundle() {
      for (const build of BUILDS) {
        this.emitFile({
          type: "asset",
          fileName: `engine/${build}-${ENGINE_VERSION}.wasm.gz`,
          source: gzipSync(readFileSync(join(folder, `${build}.wasm`)), { level: 9 }),
        });
        this.emitFile({
          type: "asset",
          fileName: `engine/${build}-${ENGINE_VERSION}.js`,
          source: readFileSync(join(folder, `${build}.mjs`)),
        });
      }
    },
  };
}
