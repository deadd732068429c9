/** Keys, the same as in the window of `edge-style cam`. */

import type { Command } from "./commands.ts";

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
  /** What has the focus: its name in capitals, and its type if it is an input. */
  readonly focus: string;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  n: { name: "next" },
  p: { name: "previous" },
  " ": { name: "pause" },
  c: { name: "colours" },
  m: { name: "mirror" },
  v: { name: "split" },
  s: { name: "snapshot" },
  r: { name: "record" },
  f: { name: "fullscreen" },
  h: { name: "help" },
  "?": { name: "help" },
  "+": { name: "strength", share: 0.1, isStep: true },
  "=": { name: "strength", share: 0.1, isStep: true },
  "-": { name: "strength", share: -0.1, isStep: true },
  ".": { name: "blend", share: 0.1, isStep: true },
  ",": { name: "blend", share: -0.1, isStep: true },
};

/** For help: what each key does. */
export const KEY_HELP: readonly (readonly [string, string])[] = [
  ["n, p", "next and previous style"],
  ["1 to 9", "that style"],
  ["+, -", "strength"],
  [". and ,", "blend with the next style, where one network has many"],
  ["c", "the camera's own colours"],
  ["m", "mirror"],
  ["v", "split view: camera on the left"],
  ["space", "pause"],
  ["s", "save a snapshot"],
  ["r", "record"],
  ["f", "full screen"],
  ["h", "this help"],
];

/** The command of a key; null if it has none, or the focused element wants it itself. */
export function commandForKey(press: KeyPress): Command | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (press.focus === "SELECT" || press.focus === "INPUT text") return null;
  // Space works the focused button, checkbox or style itself.
  const isControl = /^(BUTTON|SUMMARY|A|INPUT.*)$/.test(press.focus);
  if (press.key === " " && isControl) return null;
  if (/^[1-9]$/.test(press.key)) return { name: "style", number: Number(press.key) - 1 };
  return COMMANDS[press.key.toLowerCase()] ?? null;
}
