import { describe, expect, it } from "vitest";

import { figuresText } from "../src/page/figures.ts";
import { Meter } from "../src/page/meter.ts";

describe("Meter", () => {
  it("counts intervals, not frames", () => {
    const meter = new Meter();
    expect(meter.fps).toBeNull();
    for (let frame = 0; frame <= 10; frame += 1) meter.add(frame * 100 - 30, frame * 100);
    expect(meter.fps).toBeCloseTo(10);
    expect(meter.latencyMs).toBeCloseTo(30);
  });

  it("forgets what was long ago, but keeps some of a slow network", () => {
    const meter = new Meter();
    for (let frame = 0; frame < 50; frame += 1) meter.add(frame * 100, frame * 100);
    for (let frame = 0; frame < 100; frame += 1) meter.add(5000 + frame * 25, 5000 + frame * 25);
    expect(meter.fps).toBeCloseTo(40);
    const slow = new Meter();
    for (let frame = 0; frame < 20; frame += 1) slow.add(frame * 3000, frame * 3000);
    expect(slow.fps).toBeCloseTo(1 / 3);
  });

  it("begins again after a pause", () => {
    const meter = new Meter();
    meter.add(0, 10);
    meter.add(100, 110);
    meter.reset();
    expect(meter.fps).toBeNull();
    expect(meter.latencyMs).toBeNull();
  });
});

describe("figuresText", () => {
  it("says what is known", () => {
    const nothing = {
      fps: null,
      latencyMs: null,
      size: null,
      backend: null,
      threads: 1,
      precision: "",
    };
    expect(figuresText(nothing)).toBe("");
    const all = { ...nothing, fps: 9.87, latencyMs: 71.4, size: { width: 320, height: 240 } };
    expect(figuresText({ ...all, backend: "wasm", precision: "int8", threads: 2 })).toBe(
      "9.9 frames/s, 71 ms, 320×240, WebAssembly int8 on 2 threads",
    );
    expect(figuresText({ ...all, backend: "wasm", precision: "int8" })).toContain("one thread");
  });
});
