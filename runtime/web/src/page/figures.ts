/** The line of figures over the picture. */

import type { BackendName } from "../shared/manifest.ts";
import type { Size } from "../shared/messages.ts";

export interface Figures {
  readonly fps: number | null;
  readonly latencyMs: number | null;
  readonly size: Size | null;
  readonly backend: BackendName | null;
  readonly threads: number;
  readonly precision: string;
}

/** `14 frames/s, 71 ms, 320×240, WebAssembly int8 on 2 threads`: what is known of it. */
export function figuresText(figures: Figures): string {
  const { fps, latencyMs, size, backend, threads, precision } = figures;
  const parts = [];
  if (fps !== null) parts.push(`${fps >= 10 ? Math.round(fps) : fps.toFixed(1)} frames/s`);
  if (latencyMs !== null) parts.push(`${Math.round(latencyMs)} ms`);
  if (size) parts.push(`${size.width}×${size.height}`);
  if (backend === "webgpu") parts.push(`WebGPU ${precision}`);
  if (backend === "wasm") {
    parts.push(
      `WebAssembly ${precision} on ${threads === 1 ? "one thread" : `${threads} threads`}`,
    );
  }
  return parts.join(", ");
}
