/** A drawing of what is known of a record, as the service describes it. */

import { make } from "./dom.js";
import type { Drawing } from "./wire.js";

/** A figure that the keyboard reaches, as it may be wider than there is room for. */
export function figureOf(drawing: Drawing): HTMLElement {
  const { width, height, dot, lines, labels } = drawing;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const [x1, y1, x2, y2] of lines) svg.append(element("line", { x1, y1, x2, y2 }));
  for (const { x, y, text, whole, size, bold } of labels) {
    const label = element("text", { x, y, "font-size": size, ...(bold ? { class: "bold" } : {}) });
    const title = element("title", {});
    title.textContent = whole;
    label.append(title, text);
    svg.append(label);
  }
  svg.append(element("circle", { cx: dot[0], cy: dot[1], r: 5 }));
  const words = labels.map(({ whole }) => whole).join(", ");
  return make(
    "figure",
    { class: "drawing", tabindex: "0", role: "img", "aria-label": `${drawing.title}. ${words}` },
    svg,
  );
}

function element(
  name: string,
  attributes: { readonly [name: string]: string | number },
): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
