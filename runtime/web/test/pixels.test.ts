import { describe, expect, it } from "vitest";

import { panView } from "../src/sources/pan-path.ts";
import { coverCrop } from "../src/worker/crop.ts";
import { packRgb, unpackRgb } from "../src/worker/pixels.ts";

describe("pixels", () => {
  it("go to the network and back", () => {
    const rgba = new Uint8ClampedArray([1, 2, 3, 255, 250, 251, 252, 255]);
    const rgb = new Uint8Array(6);
    packRgb(rgba, rgb);
    expect([...rgb]).toEqual([1, 2, 3, 250, 251, 252]);
    const back = new Uint8ClampedArray(8);
    unpackRgb(rgb, back);
    expect([...back]).toEqual([...rgba]);
  });
});

describe("coverCrop", () => {
  it("cuts what hangs over, on both sides alike", () => {
    const frame = { width: 1280, height: 720 };
    expect(coverCrop(frame, { width: 320, height: 240 })).toEqual({
      x: 160,
      y: 0,
      width: 960,
      height: 720,
    });
    expect(coverCrop(frame, { width: 640, height: 360 })).toEqual({ x: 0, y: 0, ...frame });
  });
});

describe("panView", () => {
  const photo = { width: 512, height: 400 };
  const view = { width: 640, height: 480 };

  it("stays on the photo and keeps the view's shape", () => {
    for (let turn = 0; turn < 1; turn += 0.01) {
      const { x, y, width, height } = panView(turn, photo, view);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(photo.width + 1e-9);
      expect(y + height).toBeLessThanOrEqual(photo.height + 1e-9);
      expect(width / height).toBeCloseTo(view.width / view.height);
    }
  });

  it("ends where it began", () => {
    const [start, end] = [panView(0, photo, view), panView(1, photo, view)];
    expect(end.x).toBeCloseTo(start.x);
    expect(end.y).toBeCloseTo(start.y);
  });
});
