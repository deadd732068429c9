import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { describeModel, ModelFileError, readMetadata } from "../src/shared/onnx-metadata.ts";

const read = (path: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../${path}`, import.meta.url)));
const model = (name: string): Uint8Array => read(`tests/data/models/${name}`);

describe("describeModel", () => {
  it("reads a shipped file", () => {
    const starry = describeModel(read("exported/starry.onnx"), "starry.onnx");
    expect(starry).toMatchObject({
      name: "starry",
      painting: "The Starry Night",
      artist: "Vincent van Gogh",
      precision: "fp16",
      styles: [],
    });
  });

  it("reads the styles of a network that has many", () => {
    const many = describeModel(model("many.onnx"), "many.onnx");
    expect(many.styles).toEqual(["plain", "negative", "night"]);
  });

  it.each([
    ["foreign_255.onnx", "edge-style export foreign_255.onnx"],
    ["classifier.onnx", "was not made by edge-style"],
    ["encoder.onnx", "does not paint"],
  ])("refuses %s and says what to do", (name, words) => {
    expect(() => describeModel(model(name), name)).toThrow(ModelFileError);
    expect(() => describeModel(model(name), name)).toThrow(words);
  });

  it("refuses what is no model, or a part of one", () => {
    const whole = model("negative.onnx");
    const text = new TextEncoder().encode("The quick brown fox jumps over the lazy dog");
    for (const data of [new Uint8Array(), text, whole.subarray(0, whole.length - 40)]) {
      expect(() => readMetadata(data, "x.onnx")).toThrow(/x\.onnx is not an ONNX model/);
    }
    // A length of many bytes that no file has.
    const long = new Uint8Array([0x3a, ...Array<number>(12).fill(0xff)]);
    expect(() => readMetadata(long, "x.onnx")).toThrow(ModelFileError);
  });
});
