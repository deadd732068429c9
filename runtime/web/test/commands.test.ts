import { describe, expect, it } from "vitest";

import { FIRST_WISHES, obey, titleOf } from "../src/page/commands.ts";
import type { Style } from "../src/shared/manifest.ts";
import { commandForKey, KEY_HELP, type KeyPress } from "../src/page/keys.ts";

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  focus: "BODY",
  ...more,
});

/** A list of networks that have so many styles each. */
const styles = (...networks: number[]): Style[] =>
  networks.flatMap((siblings, network) =>
    [...Array(siblings).keys()].map((index) => ({
      id: `${network}-${index}`,
      painting: `P${network}${index}`,
      artist: "Ann",
      year: "",
      licence: "",
      thumbnail: "",
      files: [],
      index: siblings > 1 ? index : null,
      siblings,
      code: null,
    })),
  );
const THREE = styles(1, 1, 1);

describe("obey", () => {
  it("goes round the styles in both directions", () => {
    const last = obey(FIRST_WISHES, { name: "previous" }, THREE);
    expect(last.style).toBe(2);
    expect(obey(last, { name: "next" }, THREE).style).toBe(0);
    expect(obey(FIRST_WISHES, { name: "next" }, []).style).toBe(0);
  });

  it("changes nothing for a style that is not there", () => {
    expect(obey(FIRST_WISHES, { name: "style", number: 3 }, THREE)).toBe(FIRST_WISHES);
    expect(obey(FIRST_WISHES, { name: "style", number: -1 }, THREE)).toBe(FIRST_WISHES);
  });

  it("keeps shares between 0 and 1, and ten steps arrive", () => {
    let wishes = FIRST_WISHES;
    for (let step = 0; step < 12; step += 1) {
      wishes = obey(wishes, { name: "strength", share: -0.1, isStep: true }, THREE);
    }
    expect(wishes.view.strength).toBe(0);
    for (let step = 0; step < 10; step += 1) {
      wishes = obey(wishes, { name: "strength", share: 0.1, isStep: true }, THREE);
    }
    expect(wishes.view.strength).toBe(1);
    expect(obey(wishes, { name: "edge", share: 7 }, THREE).view.edge).toBe(1);
  });

  it("turns switches round and leaves the old wishes as they were", () => {
    const split = obey(FIRST_WISHES, { name: "split" }, THREE);
    expect(split.view.isSplit).toBe(true);
    expect(FIRST_WISHES.view.isSplit).toBe(false);
    expect(obey(split, { name: "split" }, THREE)).toEqual(FIRST_WISHES);
  });
});

describe("blending", () => {
  const list = styles(1, 3);
  const chosen = (number: number): typeof FIRST_WISHES =>
    obey(FIRST_WISHES, { name: "style", number }, list);

  it("is for networks that have many styles", () => {
    const blend = { name: "blend", share: 0.3 } as const;
    expect(obey(FIRST_WISHES, blend, list)).toBe(FIRST_WISHES);
    expect(obey(chosen(1), blend, list).view.blend).toBe(0.3);
  });

  it("goes towards the next style, from the last to the first", () => {
    const title = (number: number): string =>
      titleOf(obey(chosen(number), { name: "blend", share: 0.3 }, list), list);
    expect(title(2)).toBe("P11, Ann + 30 % P12, Ann");
    expect(title(3)).toBe("P12, Ann + 30 % P10, Ann");
    expect(titleOf(chosen(3), list)).toBe("P12, Ann");
  });

  it("ends when another style is chosen", () => {
    const blended = obey(chosen(1), { name: "blend", share: 0.3 }, list);
    expect(obey(blended, { name: "next" }, list).view.blend).toBe(0);
    expect(obey(blended, { name: "style", number: 1 }, list)).toBe(blended);
  });
});

describe("commandForKey", () => {
  it("knows every key of the help", () => {
    for (const [keys] of KEY_HELP) {
      for (const key of keys.split(/, | and /)) {
        const typed = key === "space" ? " " : (key[0] ?? "");
        expect(commandForKey(press(typed)), key).not.toBeNull();
      }
    }
  });

  it("counts styles from one", () => {
    expect(commandForKey(press("1"))).toEqual({ name: "style", number: 0 });
    expect(commandForKey(press("0"))).toBeNull();
  });

  it("leaves the browser's shortcuts alone", () => {
    expect(commandForKey(press("s", { ctrlKey: true }))).toBeNull();
    expect(commandForKey(press("r", { metaKey: true }))).toBeNull();
  });

  it("leaves keys to what has the focus and wants them", () => {
    expect(commandForKey(press(" ", { focus: "BUTTON" }))).toBeNull();
    expect(commandForKey(press(" ", { focus: "INPUT radio" }))).toBeNull();
    expect(commandForKey(press("n", { focus: "SELECT" }))).toBeNull();
    expect(commandForKey(press("n", { focus: "INPUT radio" }))).toEqual({ name: "next" });
  });
});
