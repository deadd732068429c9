import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Turns } from "../src/page/turns.ts";

const STYLES = [{ id: "rain" }, { id: "snow" }, { id: "fog" }];

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it("a turn ends after its seconds, unless another begins or the picture stands still", () => {
  const onTurn = vi.fn();
  const turns = new Turns(2, onTurn);
  turns.begin();
  vi.advanceTimersByTime(1900);
  turns.begin();
  vi.advanceTimersByTime(1900);
  expect(onTurn).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(onTurn).toHaveBeenCalledTimes(1);
  turns.begin();
  turns.stop();
  vi.advanceTimersByTime(10_000);
  expect(onTurn).toHaveBeenCalledTimes(1);
});

it("without seconds no turn ends", () => {
  const onTurn = vi.fn();
  new Turns(null, onTurn).begin();
  vi.advanceTimersByTime(1e9);
  expect(onTurn).not.toHaveBeenCalled();
});

it("the styles go round, and what failed is passed over until all have", () => {
  const turns = new Turns(2, () => undefined);
  expect([0, 1, 2].map((style) => turns.next(style, STYLES))).toEqual([1, 2, 0]);
  turns.note("snow", false);
  expect(turns.next(0, STYLES)).toBe(2);
  turns.note("fog", false);
  expect(turns.next(0, STYLES)).toBeNull();
  expect(turns.next(0, STYLES)).toBe(1);
  turns.note("snow", false);
  turns.note("snow", true);
  expect(turns.next(0, STYLES)).toBe(1);
});

it("one style has no other", () => {
  expect(new Turns(2, () => undefined).next(0, STYLES.slice(0, 1))).toBeNull();
});
