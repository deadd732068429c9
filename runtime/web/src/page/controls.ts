/** Buttons and sliders: they give commands, and show what is wanted. */

import type { Style } from "../shared/manifest.ts";
import { partnerOf } from "../shared/siblings.ts";
import { type Command, percent, type Wishes } from "./commands.ts";
import { element } from "./dom.ts";
import { commandForKey, KEY_HELP } from "./keys.ts";

type OnCommand = (command: Command) => void;

const BUTTONS: readonly (readonly [string, Command])[] = [
  ["pause", { name: "pause" }],
  ["colours", { name: "colours" }],
  ["mirror", { name: "mirror" }],
  ["split", { name: "split" }],
  ["snapshot", { name: "snapshot" }],
  ["record", { name: "record" }],
  ["fullscreen", { name: "fullscreen" }],
  ["help", { name: "help" }],
];

export class Controls {
  readonly #strength = new Slider("strength");
  readonly #edge = new Slider("edge");
  readonly #blend = new Slider("blend");
  readonly #blendRow = element("blend-row", HTMLElement);
  readonly #partner = element("partner", HTMLElement);
  readonly #edgeRow = element("edge-row", HTMLElement);
  readonly #helpDialog = element("help-dialog", HTMLDialogElement);

  constructor(onCommand: OnCommand) {
    for (const [id, command] of BUTTONS) {
      element(id, HTMLButtonElement).addEventListener("click", () => {
        onCommand(command);
      });
    }
    for (const slider of [this.#strength, this.#edge, this.#blend]) slider.watch(onCommand);
    document.addEventListener("keydown", (event) => {
      if (this.#helpDialog.open) return;
      const command = commandForKey({
        key: event.key,
        ctrlKey: event.ctrlKey,
        altKey: event.altKey,
        metaKey: event.metaKey,
        focus: focusOf(document.activeElement),
      });
      if (!command) return;
      event.preventDefault();
      // Of held keys, steps go on; the rest is wanted once.
      const isStep = "isStep" in command && command.isStep;
      if (isStep || !event.repeat) onCommand(command);
    });
    this.#fillHelp();
  }

  /** Show what is wanted. */
  show(wishes: Wishes, styles: readonly Style[], isRecording: boolean): void {
    const { view } = wishes;
    const partner = styles[partnerOf(styles, wishes.style) ?? -1];
    this.#blendRow.hidden = !partner;
    this.#partner.textContent = partner?.painting ?? "";
    this.#blend.show(view.blend);
    press("pause", wishes.isPaused);
    press("colours", view.keepsColours);
    press("mirror", view.isMirrored);
    press("split", view.isSplit);
    press("record", isRecording);
    this.#strength.show(view.strength);
    this.#edge.show(view.edge);
    this.#edgeRow.hidden = !view.isSplit;
  }

  showHelp(): void {
    this.#helpDialog.showModal();
  }

  #fillHelp(): void {
    const rows = KEY_HELP.map(([keys, meaning]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = keys;
      const cell = document.createElement("td");
      cell.textContent = meaning;
      row.append(head, cell);
      return row;
    });
    element("keys", HTMLTableSectionElement).replaceChildren(...rows);
  }
}

/** A slider for a share, and its number beside it. */
class Slider {
  readonly #name: "strength" | "edge" | "blend";
  readonly #input: HTMLInputElement;
  readonly #text: HTMLOutputElement;

  constructor(name: "strength" | "edge" | "blend") {
    this.#name = name;
    this.#input = element(name, HTMLInputElement);
    this.#text = element(`${name}-text`, HTMLOutputElement);
  }

  watch(onCommand: OnCommand): void {
    this.#input.addEventListener("input", () => {
      onCommand({ name: this.#name, share: this.#input.valueAsNumber / 100 });
    });
  }

  show(share: number): void {
    this.#input.value = String(Math.round(share * 100));
    this.#text.value = percent(share);
  }
}

function press(id: string, isPressed: boolean): void {
  element(id, HTMLButtonElement).setAttribute("aria-pressed", String(isPressed));
}

function focusOf(focused: Element | null): string {
  return focused instanceof HTMLInputElement ? `INPUT ${focused.type}` : (focused?.tagName ?? "");
}
