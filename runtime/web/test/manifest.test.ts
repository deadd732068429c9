import { describe, expect, it } from "vitest";

import { chooseFile, credit, ManifestError, parseManifest } from "../src/shared/manifest.ts";

const STYLE = {
  id: "starry",
  painting: "The Starry Night",
  artist: "Vincent van Gogh",
  year: "1889",
  licence: "public domain",
  thumbnail: "thumbnails/starry.jpg",
  files: [
    { url: "models/starry.onnx", size_bytes: 10, precision: "fp16" },
    { url: "models/starry.int8.onnx", size_bytes: 5, precision: "int8" },
  ],
  index: null,
  siblings: 1,
};
const MANIFEST = {
  styles: [STYLE],
  preferences: { webgpu: ["fp16", "fp32"], wasm: ["int8", "fp32", "fp16"] },
  offline: true,
};

describe("parseManifest", () => {
  it("reads what edge-style writes", () => {
    const manifest = parseManifest(JSON.parse(JSON.stringify(MANIFEST)));
    const [style] = manifest.styles;
    expect(style && credit(style)).toBe("The Starry Night, Vincent van Gogh, 1889");
    expect(style?.files[1]).toEqual({
      url: "models/starry.int8.onnx",
      sizeBytes: 5,
      precision: "int8",
    });
    expect(manifest.isKeptOffline).toBe(true);
  });

  it("reads what paints in any style, where the site has it", () => {
    expect(parseManifest(MANIFEST).anyStyle).toBeNull();
    const [file] = STYLE.files;
    const any_style = { files: [file], encoders: [file], licence: "MIT" };
    const { anyStyle } = parseManifest({ ...MANIFEST, any_style });
    expect(anyStyle?.encoders[0]?.url).toBe("models/starry.onnx");
    expect(anyStyle?.licence).toBe("MIT");
    const without = { ...any_style, encoders: [] };
    expect(() => parseManifest({ ...MANIFEST, any_style: without })).toThrow(
      "any_style has no encoders",
    );
  });

  it.each([
    [[], "styles.json should be an object"],
    [{ ...MANIFEST, styles: {} }, "styles should be a list"],
    [{ ...MANIFEST, styles: [{ ...STYLE, files: [] }] }, "styles[0] has no files"],
    [{ ...MANIFEST, styles: [{ ...STYLE, year: 1889 }] }, "styles[0].year should be a text"],
    [{ ...MANIFEST, preferences: { webgpu: ["bf16"], wasm: [] } }, 'unknown precision "bf16"'],
  ])("refuses what is something else", (json, words) => {
    expect(() => parseManifest(json)).toThrow(ManifestError);
    expect(() => parseManifest(json)).toThrow(words);
  });
});

describe("chooseFile", () => {
  const { styles, preferences } = parseManifest(MANIFEST);
  const files = styles[0]?.files ?? [];

  it("takes what the backend runs fastest", () => {
    expect(chooseFile(files, preferences.wasm)?.precision).toBe("int8");
    expect(chooseFile(files, preferences.webgpu)?.precision).toBe("fp16");
    expect(chooseFile(files.slice(0, 1), preferences.wasm)?.precision).toBe("fp16");
  });

  it("says if there is none", () => {
    expect(chooseFile(files, ["fp32"])).toBeNull();
  });
});
