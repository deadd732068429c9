/** What the page's address asks for: `?style=starry&backend=wasm&side=240`. */

import type { BackendName } from "../shared/manifest.ts";

export interface Address {
  /** Style to begin with; empty for the first. */
  readonly style: string;
  readonly backend: BackendName | "auto";
  /** Shorter side at which the network runs, in pixels; null for what holds the frame rate. */
  readonly sidePx: number | null;
}

export function readAddress(search: string): Address {
  const query = new URLSearchParams(search);
  const backend = query.get("backend");
  const side = Number(query.get("side"));
  return {
    style: query.get("style") ?? "",
    backend: backend === "wasm" || backend === "webgpu" ? backend : "auto",
    sidePx: Number.isInteger(side) && side >= 16 && side <= 4096 ? side : null,
  };
}
