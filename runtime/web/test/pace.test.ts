import { describe, expect, it } from "vitest";

import { networkSize, Pace, START_PX } from "../src/page/pace.ts";

const SOURCE = { width: 1280, height: 720 };

/** Run a device that needs so many ms for a frame of 240 lines, for so many frames. */
function run(pace: Pace, msAt240: number, frames: number, startMs = 0, source = SOURCE): number[] {
  const sides = [];
  let nowMs = startMs;
  for (let frame = 0; frame < frames; frame += 1) {
    const workMs = msAt240 * (pace.sidePx / 240) ** 2;
    nowMs += workMs;
    pace.report(workMs, nowMs, source);
    sides.push(pace.sidePx);
  }
  return sides;
}

describe("Pace", () => {
  it("finds what a slow device can hold within a few frames", () => {
    const pace = new Pace();
    const sides = run(pace, 140, 12);
    expect(sides[0]).toBe(START_PX);
    expect(sides.at(-1)).toBe(144);
  });

  it("climbs on a fast device, up to what the camera has", () => {
    expect(run(new Pace(), 3, 400).at(-1)).toBe(720);
    expect(run(new Pace(), 3, 400, 0, { width: 640, height: 480 }).at(-1)).toBe(480);
  });

  it("does not climb where a very wide source would not get any larger", () => {
    const source = { width: 7680, height: 1080 };
    const sides = run(new Pace(), 1, 400, 0, source);
    expect(sides.at(-1)).toBe(480);
    expect(networkSize(source, 480).height).toBe(480);
  });

  it("rests where it is right, and does not swing", () => {
    for (const msAt240 of [8, 14, 25, 40, 55]) {
      const pace = new Pace();
      const sides = run(pace, msAt240, 600).slice(300);
      const changes = sides.filter((side, index) => index > 0 && side !== sides[index - 1]);
      expect(changes.length, `${msAt240} ms`).toBe(0);
      expect(msAt240 * ((sides[0] ?? 0) / 240) ** 2).toBeLessThan(1000 / 15);
    }
  });

  it("is not misled by the first frames, which compile", () => {
    const pace = new Pace();
    for (let frame = 0; frame < 5; frame += 1) pace.report(900, frame * 900, SOURCE);
    run(pace, 40, 10, 5000);
    expect(pace.sidePx).toBe(START_PX);
  });

  it("does not try again at once what proved too much", () => {
    const pace = new Pace();
    run(pace, 20, 60); // on the way up
    const high = pace.sidePx;
    expect(high).toBeGreaterThan(START_PX);
    run(pace, 60, 10, 2000); // another program wants the processor
    const low = pace.sidePx;
    expect(low).toBeLessThan(high);
    const sides = run(pace, 20, 100, 3000);
    expect(Math.max(...sides)).toBeLessThan(high);
  });
});

describe("networkSize", () => {
  it("keeps the shape, upright or lying", () => {
    expect(networkSize({ width: 640, height: 480 }, 240)).toEqual({ width: 320, height: 240 });
    expect(networkSize({ width: 720, height: 1280 }, 360)).toEqual({ width: 360, height: 640 });
  });

  it("bounds the area, too: screenshots are long, and some clips are wide", () => {
    expect(networkSize({ width: 1440, height: 1080 }, null)).toEqual({ width: 960, height: 720 });
    for (const sidePx of [null, 720, 4096]) {
      const { width, height } = networkSize({ width: 1080, height: 16000 }, sidePx);
      expect(width * height).toBeLessThan(2.01e6);
      expect(height / width).toBeCloseTo(16000 / 1080, 0);
    }
  });

  it("asks for no more than there is, and no less than networks take", () => {
    expect(networkSize({ width: 320, height: 240 }, 720)).toEqual({ width: 320, height: 240 });
    expect(networkSize({ width: 4000, height: 8 }, 144)).toEqual({ width: 4000, height: 16 });
    expect(networkSize({ width: 0, height: 0 }, 144)).toEqual({ width: 16, height: 16 });
  });
});
