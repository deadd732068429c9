import { describe, expect, it } from "vitest";

import { partnerOf, styleWeights } from "../src/shared/siblings.ts";

describe("styleWeights", () => {
  it("gives none to a network that has one style", () => {
    expect(styleWeights({ index: null, siblings: 1, code: null }, 0.5)).toBeNull();
  });

  it("blends towards the next one, and from the last to the first", () => {
    expect([...(styleWeights({ index: 1, siblings: 3, code: null }, 0) ?? [])]).toEqual([0, 1, 0]);
    expect([...(styleWeights({ index: 1, siblings: 3, code: null }, 0.25) ?? [])]).toEqual([
      0, 0.75, 0.25,
    ]);
    expect([...(styleWeights({ index: 2, siblings: 3, code: null }, 1) ?? [])]).toEqual([1, 0, 0]);
  });

  it("sums up to 1 also where there is nothing to blend with", () => {
    expect([...(styleWeights({ index: 0, siblings: 1, code: null }, 0.5) ?? [])]).toEqual([1]);
  });
});

describe("styleWeights of a picture", () => {
  it("gives what was read off it, blended or not", () => {
    const code = new Float32Array([1, 0.5, -2]);
    expect(styleWeights({ index: null, siblings: 1, code }, 0)).toBe(code);
    expect(styleWeights({ index: null, siblings: 1, code }, 0.5)).toBe(code);
  });
});

describe("partnerOf", () => {
  const one = { index: null, siblings: 1, code: null };
  const many = [0, 1, 2].map((index) => ({ index, siblings: 3, code: null }));

  it("stays inside the network", () => {
    const styles = [one, ...many, one];
    const partners = [...styles.keys(), 9].map((number) => partnerOf(styles, number));
    expect(partners).toEqual([null, 2, 3, 1, null, null]);
  });
});
