/** What the page's address asks for: `?style=starry&backend=wasm&side=240&every=30`. */

import type { BackendName } from "../shared/manifest.ts";

const LONGEST_TURN_SECONDS = 86_400;

export interface Address {
  /** Style to begin with; empty for the first. */
  readonly style: string;
  readonly backend: BackendName | "auto";
  /** Shorter side at which the network runs, in pixels; null for what holds the frame rate. */
  readonly sidePx: number | null;
  /** Seconds after which the next style comes; null for never. */
  readonly everySeconds: number | null;
}

export function readAddress(search: string): Address {
  const query = new URLSearchParams(search);
  const backend = query.get("backend");
  const side = Number(query.get("side"));
  const every = Number(query.get("every"));
  return {
    style: query.get("style") ?? "",
    backend: backend === "wasm" || backend === "webgpu" ? backend : "auto",
    sidePx: Number.isInteger(side) && side >= 16 && side <= 4096 ? side : null,
    everySeconds: every >= 1 && every <= LONGEST_TURN_SECONDS ? every : null,
  };
}
