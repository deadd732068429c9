/** The model contract, as `runtime/edge_style/contract.py` fixes it. */

export const CONTRACT_VERSION = 1;
export const INPUT_NAME = "image";
export const STYLE_INPUT_NAME = "style";
export const OUTPUT_NAME = "stylized";
export const CHANNELS = 3;
export const MIN_SIDE_PX = 16;
export const METADATA_PREFIX = "edge_style.";

export const PRECISIONS = ["fp32", "fp16", "int8"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** Whether a text names a precision. */
export function isPrecision(text: unknown): text is Precision {
  return PRECISIONS.some((precision) => precision === text);
}
