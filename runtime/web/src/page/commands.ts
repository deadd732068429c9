/** What the visitor wants: keys, buttons, sliders and swipes all give commands. Nothing here draws. */

import type { View } from "../shared/view.ts";

export type Command =
  | { readonly name: "style"; readonly number: number }
  | { readonly name: "next" | "previous" }
  | { readonly name: "pause" | "colours" | "mirror" | "split" }
  | { readonly name: "strength" | "edge"; readonly share: number; readonly isStep?: boolean }
  | { readonly name: "snapshot" | "record" | "fullscreen" | "help" };

/** What is wanted now. Never changed: a command makes another one. */
export interface Wishes {
  readonly view: View;
  readonly isPaused: boolean;
  /** Number of the style in the gallery, from 0. */
  readonly style: number;
}

export const FIRST_WISHES: Wishes = {
  view: { strength: 1, keepsColours: false, isMirrored: false, isSplit: false, edge: 0.5 },
  isPaused: false,
  style: 0,
};

/** What is wanted after a command. One that makes no sense here changes nothing. */
export function obey(wishes: Wishes, command: Command, styles: number): Wishes {
  const { view } = wishes;
  switch (command.name) {
    case "style":
      return command.number >= 0 && command.number < styles
        ? { ...wishes, style: command.number }
        : wishes;
    case "next":
      return styles > 0 ? { ...wishes, style: (wishes.style + 1) % styles } : wishes;
    case "previous":
      return styles > 0 ? { ...wishes, style: (wishes.style + styles - 1) % styles } : wishes;
    case "pause":
      return { ...wishes, isPaused: !wishes.isPaused };
    case "colours":
      return { ...wishes, view: { ...view, keepsColours: !view.keepsColours } };
    case "mirror":
      return { ...wishes, view: { ...view, isMirrored: !view.isMirrored } };
    case "split":
      return { ...wishes, view: { ...view, isSplit: !view.isSplit } };
    case "strength":
    case "edge": {
      const old = command.isStep ? view[command.name] : 0;
      // Ten steps of 0.1 have to arrive at 1.
      const share = Math.round(Math.min(1, Math.max(0, old + command.share)) * 1e4) / 1e4;
      return { ...wishes, view: { ...view, [command.name]: share } };
    }
    case "snapshot":
    case "record":
    case "fullscreen":
    case "help":
      return wishes;
  }
}
