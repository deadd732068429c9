import { describe, expect, it } from "vitest";

import { readingSize } from "../src/worker/encoder.ts";

describe("readingSize", () => {
  it.each([
    [256, 1024, 512, 512, 256],
    [256, 600, 1200, 256, 512],
    [256, 100, 120, 256, 307],
    [256, 4000, 400, 640, 64], // a scroll is looked at whole, but smaller
    [256, 20, 4000, 16, 640],
    [384, 600, 1200, 384, 768],
    [384, 4000, 400, 960, 96],
  ])("at %i of %i\u00d7%i is %i\u00d7%i", (side, width, height, lookedAtWidth, lookedAtHeight) => {
    expect(readingSize({ width, height }, side)).toEqual({
      width: lookedAtWidth,
      height: lookedAtHeight,
    });
  });
});
