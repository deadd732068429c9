/** How the picture is to look: what the network paints, and what is shown of it and of the camera. */
export interface View {
  /** Share of the next style of the same network, from 0, the chosen one, to 1. */
  readonly blend: number;
  /** Of the effect, from 0, the camera's picture, to 1. */
  readonly strength: number;
  /** The painting gives its brushwork only, the camera the colours. */
  readonly keepsColours: boolean;
  /** Left and right change places, as people know themselves. */
  readonly isMirrored: boolean;
  /** The camera's picture is shown left of `edge`. */
  readonly isSplit: boolean;
  /** Place of the edge, a share of the width. */
  readonly edge: number;
}

/** The network's picture as it is. */
export const PLAIN_VIEW: View = {
  blend: 0,
  strength: 1,
  keepsColours: false,
  isMirrored: false,
  isSplit: false,
  edge: 0.5,
};
