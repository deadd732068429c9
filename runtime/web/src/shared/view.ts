/** What is shown of the network's picture and of the camera's. */
export interface View {
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
