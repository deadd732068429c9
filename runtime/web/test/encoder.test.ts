import { describe, expect, it } from "vitest";

import { readingSize } from "../src/worker/encoder.ts";

describe("readingSize", () => {
  it.each([
    [1024, 512, 512, 256],
    [600, 1200, 256, 512],
    [100, 120, 256, 307],
    [4000, 400, 640, 64], // a scroll is looked at whole, but smaller
    [20, 4000, 16, 640],
  ])("of %i\u00d7%i is %i\u00d7%i", (width, height, lookedAtWidth, lookedAtHeight) => {
    expect(readingSize({ width, height })).toEqual({
      width: lookedAtWidth,
      height: lookedAtHeight,
    });
  });
});
