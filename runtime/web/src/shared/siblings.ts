/** The styles of a network that has many: which one follows which, and how two are mixed. */

import type { Style } from "./manifest.ts";

/** What has to be known of a style to blend it. */
export type Sibling = Pick<Style, "index" | "siblings" | "code">;

/** Index of the style that a style blends towards: the next one, after the last the first. */
function nextIndex(index: number, siblings: number): number {
  return (index + 1) % siblings;
}

/**
 * Number of the style that a style blends towards, in a list where those of one network stand in a
 * row; null if its network has no other.
 */
export function partnerOf(styles: readonly Sibling[], number: number): number | null {
  const style = styles[number];
  const index = style?.index ?? null;
  if (!style || index === null || style.siblings < 2) return null;
  return number - index + nextIndex(index, style.siblings);
}

/**
 * What a network's `style` input takes: weights over its styles that sum up to 1, or the code of a
 * picture; null for a network that has one style.
 *
 * @param blend share of the next style, 0..1.
 */
export function styleWeights(
  { index, siblings, code }: Sibling,
  blend: number,
): Float32Array | null {
  if (code !== null) return code;
  if (index === null) return null;
  const weights = new Float32Array(siblings);
  if (siblings > 1) weights[nextIndex(index, siblings)] = blend;
  weights[index] = siblings > 1 ? 1 - blend : 1;
  return weights;
}
