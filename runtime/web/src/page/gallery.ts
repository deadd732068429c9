/** The styles to choose from: radio buttons with pictures. */

import { credit, type Style } from "../shared/manifest.ts";

export class Gallery {
  readonly #list: HTMLElement;
  readonly #onChoose: (number: number) => void;
  readonly #inputs: HTMLInputElement[] = [];

  constructor(list: HTMLElement, onChoose: (number: number) => void) {
    this.#list = list;
    this.#onChoose = onChoose;
  }

  /** Add a style at the end. */
  add(style: Style): void {
    const number = this.#inputs.length;
    const label = document.createElement("label");
    label.className = "style";
    label.title = credit(style);
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "style";
    input.value = style.id;
    input.className = "out-of-sight";
    input.addEventListener("change", () => {
      this.#onChoose(number);
    });
    const picture = document.createElement("img");
    picture.alt = "";
    picture.width = 160;
    picture.height = 120;
    if (style.thumbnail !== "") picture.src = style.thumbnail;
    const painting = document.createElement("span");
    painting.className = "painting";
    painting.textContent = style.painting;
    const painter = document.createElement("span");
    painter.className = "painter";
    painter.textContent = [style.artist, style.year].filter((part) => part !== "").join(", ");
    label.append(input, picture, painting, painter);
    this.#list.append(label);
    this.#inputs.push(input);
  }

  /** Show which one is chosen. */
  mark(number: number): void {
    const input = this.#inputs[number];
    if (!input || input.checked) return;
    input.checked = true;
    const isSmooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    input.parentElement?.scrollIntoView({
      block: "nearest",
      inline: "nearest",
      behavior: isSmooth ? "smooth" : "auto",
    });
  }

  /** Give a style a picture of its own. */
  setThumbnail(number: number, url: string): void {
    const picture = this.#inputs[number]?.parentElement?.querySelector("img");
    if (picture) picture.src = url;
  }

  get thumbnailsMissing(): number[] {
    return [...this.#inputs.keys()].filter(
      (number) => !this.#inputs[number]?.parentElement?.querySelector("img")?.hasAttribute("src"),
    );
  }
}
