/**
 * What an `.onnx` file says of itself, read from its bytes.
 *
 * An `.onnx` file is a protocol buffer: fields say their own length, so that a reader can skip what
 * it does not know. The field numbers are those of onnx.proto.
 */

import { CONTRACT_VERSION, isPrecision, METADATA_PREFIX, type Precision } from "./contract.ts";

const GRAPH = 7;
const METADATA = 14;
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A file that a visitor gave cannot be used; the message says what to do. */
export class ModelFileError extends Error {}

/** What a visitor's own model says of itself. */
export interface ModelDescription {
  readonly name: string;
  readonly painting: string;
  readonly artist: string;
  readonly year: string;
  readonly licence: string;
  readonly precision: Precision;
  /** Names of the styles of a many-style network; empty for others. */
  readonly styles: readonly string[];
}

/**
 * Read a model's description and see that it follows the contract.
 *
 * @throws ModelFileError it is no ONNX model, follows no contract or a newer one, or paints nothing.
 */
export function describeModel(data: Uint8Array, fileName: string): ModelDescription {
  const metadata = readMetadata(data, fileName);
  const get = (key: string): string => metadata.get(METADATA_PREFIX + key) ?? "";
  const version = Number(get("contract_version"));
  if (!version) {
    throw new ModelFileError(
      `${fileName} was not made by edge-style. Convert it first: edge-style export ${fileName}`,
    );
  }
  if (version > CONTRACT_VERSION) {
    throw new ModelFileError(`${fileName} was made by a newer edge-style than this page.`);
  }
  const precision = get("precision");
  if (!isPrecision(precision)) {
    throw new ModelFileError(`${fileName} does not say its precision: export it again.`);
  }
  if (get("role") === "encoder") {
    throw new ModelFileError(`${fileName} reads paintings, it does not paint: open its partner.`);
  }
  return {
    name: get("name") || fileName.replace(/\.onnx$/i, ""),
    painting: get("painting"),
    artist: get("artist"),
    year: get("year"),
    licence: get("licence"),
    precision,
    styles: readList(get("styles")),
  };
}

/** The file's `metadata_props`. */
export function readMetadata(data: Uint8Array, fileName: string): Map<string, string> {
  const metadata = new Map<string, string>();
  let graphs = 0;
  try {
    for (const field of fields(data)) {
      if (field.number === GRAPH) graphs += 1;
      if (field.number === METADATA && field.bytes) {
        const entry = new Map<number, string>();
        for (const part of fields(field.bytes)) {
          if (part.bytes) entry.set(part.number, new TextDecoder().decode(part.bytes));
        }
        metadata.set(entry.get(1) ?? "", entry.get(2) ?? "");
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    graphs = 0;
  }
  if (graphs === 0) {
    throw new ModelFileError(`${fileName} is not an ONNX model, or only a part of one.`);
  }
  return metadata;
}

interface Field {
  readonly number: number;
  readonly bytes: Uint8Array | null;
}

/** The fields of one message. Throws RangeError where it is none, or ends early. */
function* fields(data: Uint8Array): Generator<Field> {
  let position = 0;
  const varint = (): number => {
    let value = 0;
    // Not by shifts, which stop at 32 bits: files may be larger than 2 GB.
    for (let scale = 1; scale <= 2 ** 63; scale *= 128) {
      const byte = data[position];
      if (byte === undefined) throw new RangeError("number cut short");
      position += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError("number too long");
  };
  while (position < data.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const kind = tag % 8;
    if (number === 0) throw new RangeError("field number 0");
    if (kind === VARINT) {
      varint();
      yield { number, bytes: null };
      continue;
    }
    let length;
    if (kind === BYTES) length = varint();
    else if (kind === FIXED64) length = 8;
    else if (kind === FIXED32) length = 4;
    else throw new RangeError("unknown wire type");
    if (position + length > data.length) throw new RangeError("field longer than its message");
    yield { number, bytes: data.subarray(position, position + length) };
    position += length;
  }
}

function readList(json: string): string[] {
  if (json === "") return [];
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    return [];
  }
}
