/** onnxruntime-web: which of its builds, on which device. */

import type { InferenceSession } from "onnxruntime-web";

import type { Precision } from "../shared/contract.ts";
import type { BackendName } from "../shared/manifest.ts";
import { download, type OnProgress } from "./download.ts";

declare const ENGINE_VERSION: string;

type Ort = typeof import("onnxruntime-web");

/** A started engine. */
export interface Engine {
  readonly ort: Ort;
  readonly backend: BackendName;
  readonly threads: number;
  /** Address of its WebAssembly file, relative to the site. */
  readonly url: string;
  /** Whether it runs files of that precision at all. */
  runs(precision: Precision): boolean;
  /** What sessions are created with. */
  readonly options: InferenceSession.SessionOptions;
}

interface GpuAdapter {
  readonly features: ReadonlySet<string>;
  readonly info?: { readonly isFallbackAdapter?: boolean };
  readonly isFallbackAdapter?: boolean;
}

interface NavigatorWithGpu {
  readonly gpu?: { requestAdapter(options: object): Promise<GpuAdapter | null> };
}

/** Why there is no WebGPU; `auto` then goes on with WebAssembly. */
export class NoWebGpuError extends Error {}

/**
 * WebGPU over the browser's graphics device.
 *
 * @param isForced also on a device that the processor imitates, which is slower than WebAssembly.
 * @throws NoWebGpuError there is none that is worth it.
 */
export async function startWebGpu(
  site: string,
  threads: number,
  isForced: boolean,
  onProgress: OnProgress,
): Promise<Engine> {
  const { gpu } = navigator as NavigatorWithGpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new NoWebGpuError("this browser has no WebGPU here");
  const isImitated = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  if (isImitated && !isForced) {
    throw new NoWebGpuError("WebGPU is only imitated here, by the processor");
  }
  const hasHalf = adapter.features.has("shader-f16");
  // Waiting for the device inside WebAssembly: a browser's own way, or a larger build that can.
  const isSuspendable = "Suspending" in WebAssembly;
  const ort: Ort = isSuspendable
    ? await import("onnxruntime-web/jspi")
    : await import("onnxruntime-web/webgpu");
  const url = await configure(
    ort,
    isSuspendable ? ".jspi" : ".asyncify",
    site,
    threads,
    onProgress,
  );
  return {
    ort,
    backend: "webgpu",
    threads,
    url,
    runs: (precision) => precision === "fp32" || (precision === "fp16" && hasHalf),
    options: { executionProviders: ["webgpu"], graphOptimizationLevel: "all", logSeverityLevel: 3 },
  };
}

/** WebAssembly with SIMD, and threads where the page is isolated. */
export async function startWasm(
  site: string,
  threads: number,
  onProgress: OnProgress,
): Promise<Engine> {
  const ort: Ort = await import("onnxruntime-web/wasm");
  const url = await configure(ort, "", site, threads, onProgress);
  return {
    ort,
    backend: "wasm",
    threads,
    url,
    runs: () => true,
    options: { executionProviders: ["wasm"], graphOptimizationLevel: "all", logSeverityLevel: 3 },
  };
}

async function configure(
  ort: Ort,
  build: string,
  site: string,
  threads: number,
  onProgress: OnProgress,
): Promise<string> {
  const name = `engine/ort-wasm-simd-threaded${build}-${ENGINE_VERSION}`;
  const url = `${name}.wasm.gz`;
  ort.env.wasm.wasmBinary = await download(new URL(url, site), onProgress);
  ort.env.wasm.wasmPaths = { mjs: new URL(`${name}.js`, site).href };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return url;
}
