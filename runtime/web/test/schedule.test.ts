import { describe, expect, it } from "vitest";

import { Schedule } from "../src/page/schedule.ts";

/** One whose first frame, captured at 1 ms, is on show. */
function showing(): Schedule {
  const schedule = new Schedule();
  schedule.wish();
  schedule.captured(1);
  expect(schedule.take(false)).toEqual({ kind: "frame", capturedMs: 1, wish: 1 });
  schedule.finished(1);
  return schedule;
}

describe("Schedule", () => {
  it("has one frame in work, and then the newest of those that came meanwhile", () => {
    const schedule = showing();
    schedule.captured(2);
    expect(schedule.take(false)).toMatchObject({ capturedMs: 2 });
    schedule.captured(3);
    schedule.captured(4);
    expect(schedule.take(false)).toBeNull();
    schedule.finished(1);
    expect(schedule.take(false)).toMatchObject({ capturedMs: 4 });
    schedule.finished(1);
    expect(schedule.take(false)).toBeNull();
  });

  it("goes on after a frame that was lost", () => {
    const schedule = showing();
    schedule.captured(2);
    schedule.take(false);
    schedule.captured(3);
    schedule.lost();
    expect(schedule.take(false)).toMatchObject({ kind: "frame", capturedMs: 3 });
  });

  it("paints a still picture anew, and a live one's next frame", () => {
    for (const isStill of [true, false]) {
      const schedule = showing();
      schedule.wishAgain();
      schedule.wishAgain();
      expect(schedule.take(isStill)).toEqual(isStill ? { kind: "again", wish: 3 } : null);
      if (!isStill) {
        schedule.captured(2);
        expect(schedule.take(isStill)).toEqual({ kind: "frame", capturedMs: 2, wish: 3 });
      }
      schedule.finished(3);
      expect(schedule.isSettled).toBe(true);
      expect(schedule.take(isStill)).toBeNull();
    }
  });

  it("does not paint anew what a new frame has shown already", () => {
    const schedule = showing();
    schedule.wishAgain();
    schedule.captured(2);
    expect(schedule.take(true)).toMatchObject({ kind: "frame", wish: 2 });
    schedule.finished(2);
    expect(schedule.take(true)).toBeNull();
  });

  it("keeps what is on show while paused, and obeys wishes with it", () => {
    const schedule = showing();
    schedule.pause(true);
    schedule.captured(2);
    expect(schedule.take(false)).toEqual({ kind: "again", wish: 2 });
    schedule.finished(2);
    expect(schedule.take(false)).toBeNull();
    schedule.pause(false);
    expect(schedule.take(false)).toEqual({ kind: "frame", capturedMs: 2, wish: 3 });
  });

  it("shows a first frame even while paused", () => {
    const schedule = new Schedule();
    schedule.pause(true);
    expect(schedule.take(false)).toBeNull();
    schedule.captured(1);
    expect(schedule.take(false)).toMatchObject({ kind: "frame" });
  });

  it("is settled when the last wish was answered, not one before it", () => {
    const schedule = showing();
    expect(schedule.isSettled).toBe(true);
    schedule.wishAgain();
    schedule.captured(2);
    schedule.take(false);
    schedule.wish();
    schedule.finished(2);
    expect(schedule.isSettled).toBe(false);
    schedule.captured(3);
    expect(schedule.take(false)).toMatchObject({ wish: 3 });
    schedule.finished(3);
    expect(schedule.isSettled).toBe(true);
  });

  it("is not settled while paused with a picture in work", () => {
    const schedule = showing();
    schedule.captured(2);
    schedule.take(false);
    expect(schedule.isSettled).toBe(true);
    schedule.pause(true);
    schedule.finished(1);
    schedule.take(false);
    expect(schedule.isSettled).toBe(false);
    schedule.finished(2);
    expect(schedule.isSettled).toBe(true);
  });
});
