/** The styles to choose from: radio buttons with pictures. */

import { credit, type Style } from "../shared/manifest.ts";

/** Styles that have a key of their own. */
const KEYS = 9;

export class Gallery {
  /** What stands behind the styles: the way to one's own. */
  readonly #end: HTMLElement;
  readonly #onChoose: (number: number) => void;
  readonly #inputs: HTMLInputElement[] = [];
  #marked = -1;

  constructor(list: HTMLElement, end: HTMLElement, onChoose: (number: number) => void) {
    this.#end = end;
    this.#onChoose = onChoose;
    const scroll = (event: WheelEvent): void => {
      scrollAcross(list, event);
    };
    list.addEventListener("wheel", scroll, { passive: false });
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
    const key = document.createElement("kbd");
    key.textContent = number < KEYS ? String(number + 1) : "";
    key.ariaHidden = "true"; // help says it, and a name should be a name
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
    label.append(input, picture, key, painting, painter);
    this.#end.before(label);
    this.#inputs.push(input);
  }

  /** Show which one is chosen. */
  mark(number: number): void {
    const input = this.#inputs[number];
    if (!input || number === this.#marked) return; // arrow keys check it before anybody is told
    this.#marked = number;
    input.checked = true;
    const isSmooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    // In the middle, where the strip's snapping wants it: at an edge that would snap to a neighbour
    // and cut this one off.
    input.parentElement?.scrollIntoView({
      block: "nearest",
      inline: "center",
      behavior: isSmooth ? "smooth" : "auto",
    });
  }
}

/** A mouse wheel turns up and down only; over a strip that goes across, it moves that. */
function scrollAcross(list: HTMLElement, event: WheelEvent): void {
  if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
  const before = list.scrollLeft;
  list.scrollLeft += event.deltaY;
  if (list.scrollLeft !== before) event.preventDefault();
}
