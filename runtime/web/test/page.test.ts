import { describe, expect, it } from "vitest";

import { readAddress } from "../src/page/address.ts";
import { fileName } from "../src/page/dom.ts";
import { kindOfFile } from "../src/page/files.ts";
import { threadCount } from "../src/page/threads.ts";
import { missingFeature } from "../src/page/words.ts";

describe("readAddress", () => {
  it("reads what is asked for, and ignores what makes no sense", () => {
    expect(readAddress("?style=starry&backend=wasm&side=240&every=2.5")).toEqual({
      style: "starry",
      backend: "wasm",
      sidePx: 240,
      everySeconds: 2.5,
    });
    const nothing = { style: "", backend: "auto", sidePx: null, everySeconds: null };
    expect(readAddress("")).toEqual(nothing);
    expect(readAddress("?backend=abacus&side=-3")).toEqual(nothing);
    expect(readAddress("?side=1e9&every=soon")).toEqual(nothing);
    expect(readAddress("?every=0")).toEqual(nothing);
    expect(readAddress("?every=1e9")).toEqual(nothing);
  });
});

describe("kindOfFile", () => {
  it.each([
    ["mine.ONNX", "", "model"],
    ["a.jpg", "image/jpeg", "picture"],
    ["a.heic", "image/heic", "picture"],
    ["a.mov", "", "clip"],
    ["a.webm", "video/webm", "clip"],
    ["notes.txt", "text/plain", "unknown"],
  ] as const)("%s", (name, type, kind) => {
    expect(kindOfFile({ name, type })).toBe(kind);
  });
});

describe("threadCount", () => {
  it("is one where memory cannot be shared", () => {
    expect(threadCount(16, false)).toBe(1);
  });

  it("goes with the cores, within reason", () => {
    expect([1, 2, 4, 8, 64].map((cores) => threadCount(cores, true))).toEqual([1, 2, 4, 4, 8]);
  });
});

it("files are named by style and time", () => {
  const name = fileName("the-scream", "png", new Date(2026, 0, 5, 7, 8, 9));
  expect(name).toBe("edge-style the-scream 2026-01-05 07.08.09.png");
});

it("an old browser is told what it lacks", () => {
  // Node has WebAssembly with SIMD and no canvas: the module that asks for SIMD is a valid one.
  expect(missingFeature()).toContain("too old");
});
