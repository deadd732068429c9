import { describe, expect, it } from "vitest";

import { FIRST_WISHES, obey } from "../src/page/commands.ts";
import { commandForKey, KEY_HELP, type KeyPress } from "../src/page/keys.ts";

const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  focus: "BODY",
  ...more,
});

describe("obey", () => {
  it("goes round the styles in both directions", () => {
    const last = obey(FIRST_WISHES, { name: "previous" }, 3);
    expect(last.style).toBe(2);
    expect(obey(last, { name: "next" }, 3).style).toBe(0);
    expect(obey(FIRST_WISHES, { name: "next" }, 0).style).toBe(0);
  });

  it("changes nothing for a style that is not there", () => {
    expect(obey(FIRST_WISHES, { name: "style", number: 3 }, 3)).toBe(FIRST_WISHES);
    expect(obey(FIRST_WISHES, { name: "style", number: -1 }, 3)).toBe(FIRST_WISHES);
  });

  it("keeps shares between 0 and 1, and ten steps arrive", () => {
    let wishes = FIRST_WISHES;
    for (let step = 0; step < 12; step += 1) {
      wishes = obey(wishes, { name: "strength", share: -0.1, isStep: true }, 1);
    }
    expect(wishes.view.strength).toBe(0);
    for (let step = 0; step < 10; step += 1) {
      wishes = obey(wishes, { name: "strength", share: 0.1, isStep: true }, 1);
    }
    expect(wishes.view.strength).toBe(1);
    expect(obey(wishes, { name: "edge", share: 7 }, 1).view.edge).toBe(1);
  });

  it("turns switches round and leaves the old wishes as they were", () => {
    const split = obey(FIRST_WISHES, { name: "split" }, 1);
    expect(split.view.isSplit).toBe(true);
    expect(FIRST_WISHES.view.isSplit).toBe(false);
    expect(obey(split, { name: "split" }, 1)).toEqual(FIRST_WISHES);
  });
});

describe("commandForKey", () => {
  it("knows every key of the help", () => {
    for (const [keys] of KEY_HELP) {
      for (const key of keys.split(", ")) {
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
