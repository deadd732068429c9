/** What the visitor wants: keys, buttons, sliders and swipes all give commands. Nothing here draws. */

import { credit, type Style } from "../shared/manifest.ts";
import { partnerOf, type Sibling } from "../shared/siblings.ts";
import { PLAIN_VIEW, type View } from "../shared/view.ts";

export type Command =
  | { readonly name: "style"; readonly number: number }
  | { readonly name: "next" | "previous" }
  | { readonly name: "pause" | "colours" | "mirror" | "split" }
  | {
      readonly name: "strength" | "edge" | "blend";
      readonly share: number;
      readonly isStep?: boolean;
    }
  | { readonly name: "snapshot" | "record" | "fullscreen" | "help" };

/** What is wanted now. Never changed: a command makes another one. */
export interface Wishes {
  readonly view: View;
  readonly isPaused: boolean;
  /** Number of the style in the gallery, from 0. */
  readonly style: number;
}

export const FIRST_WISHES: Wishes = { view: PLAIN_VIEW, isPaused: false, style: 0 };

/** What is wanted after a command. One that makes no sense here changes nothing. */
export function obey(wishes: Wishes, command: Command, styles: readonly Sibling[]): Wishes {
  const { view } = wishes;
  switch (command.name) {
    case "style":
      return choose(wishes, command.number, styles);
    case "next":
      return choose(wishes, (wishes.style + 1) % styles.length, styles);
    case "previous":
      return choose(wishes, (wishes.style + styles.length - 1) % styles.length, styles);
    case "pause":
      return { ...wishes, isPaused: !wishes.isPaused };
    case "colours":
      return { ...wishes, view: { ...view, keepsColours: !view.keepsColours } };
    case "mirror":
      return { ...wishes, view: { ...view, isMirrored: !view.isMirrored } };
    case "split":
      return { ...wishes, view: { ...view, isSplit: !view.isSplit } };
    case "strength":
    case "edge":
    case "blend": {
      if (command.name === "blend" && partnerOf(styles, wishes.style) === null) return wishes;
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

/** A chosen style is seen as it is: what was blended into another one is gone. */
function choose(wishes: Wishes, number: number, styles: readonly Sibling[]): Wishes {
  if (!(number >= 0 && number < styles.length) || number === wishes.style) return wishes;
  return { ...wishes, style: number, view: { ...wishes.view, blend: 0 } };
}

/** What is being painted, for people: `Rain, Ann, 1889 + 30 % Snow, Ann, 1890`. */
export function titleOf(wishes: Wishes, styles: readonly Style[]): string {
  const style = styles[wishes.style];
  if (!style) return "";
  const partner = styles[partnerOf(styles, wishes.style) ?? -1];
  if (!partner || wishes.view.blend === 0) return credit(style);
  return `${credit(style)} + ${percent(wishes.view.blend)} ${credit(partner)}`;
}

/** `30 %`. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
