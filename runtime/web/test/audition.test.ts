import { describe, expect, it, vi } from "vitest";

import { audition } from "../src/worker/audition.ts";
import type { Studio } from "../src/worker/studio.ts";

vi.mock("../src/worker/easel.ts", () => ({
  Easel: class {
    take(): void {
      /* nothing to see */
    }

    frameRgb(): Uint8Array {
      return new Uint8Array(3);
    }
  },
}));

const STYLE = { id: "picture-2", files: [], index: null, siblings: 1, code: new Float32Array(3) };

describe("a style that does not paint", () => {
  it.each([
    [true, 0],
    [false, 1],
  ])("takes its network along unless others have it: %s", async (isShared, forgotten) => {
    const network = { run: () => Promise.reject(new Error("out of memory")) };
    const forget = vi.fn(() => Promise.resolve());
    const studio = { has: () => isShared, open: () => Promise.resolve(network), forget };
    const sample = { close: () => undefined } as ImageBitmap;
    const tried = audition(studio as unknown as Studio, [STYLE], sample, null, () => undefined);
    await expect(tried).rejects.toThrow("out of memory");
    expect(forget).toHaveBeenCalledTimes(forgotten);
  });
});
