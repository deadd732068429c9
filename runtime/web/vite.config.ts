import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { defineConfig, type Plugin } from "vite";

import { ENGINE_VERSION, engineFiles } from "./build/engine-files.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The photo that the page glides across before there is a camera, and that thumbnails show. */
function samplePhoto(): Plugin {
  return {
    name: "sample-photo",
    apply: "build",
    generateBundle() {
      this.emitFile({
        type: "asset",
        fileName: "sample.jpg",
        source: readFileSync(here("../../exported/gallery/astronaut.jpg")),
      });
    },
  };
}

const define = { ENGINE_VERSION: JSON.stringify(ENGINE_VERSION) };
// onnxruntime-web's modules that load their WebAssembly from an address, instead of carrying it.
const resolve = { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import"] };

export default defineConfig({
  base: "./",
  define,
  resolve,
  plugins: [engineFiles(), samplePhoto()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    // Where the Python package finds it, in a checkout and in a wheel.
    outDir: here("../edge_style/web/page"),
    emptyOutDir: true,
    // Small pictures stay files: the content security policy knows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: here("index.html"), sw: here("src/offline/sw.ts") },
      output: {
        // A service worker's address must not change, and its folder is its scope.
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
