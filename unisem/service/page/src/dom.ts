/** Making elements. Text from anywhere becomes text nodes only: nothing here parses HTML. */

type Child = Node | string | null;

/**
 * An element with attributes and children.
 *
 * Attributes that run or load something are set by none of this: `href` and `src` are properties
 * that the callers set from addresses they have built.
 */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: { readonly [name: string]: string | boolean } = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** The element of the page with this id, which must be of this class. */
export function part<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return element;
}

/** A button that does something. */
export function button(label: string, kind: string, act: () => void): HTMLButtonElement {
  const made = make("button", { type: "button", class: kind }, label);
  made.addEventListener("click", act);
  return made;
}

// Those that are invisible, and those that turn the reading direction of what follows.
const HARMFUL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A text of unknown origin on one line, as `unisem.common.printable.plain` makes it. */
export function plain(text: string): string {
  return text.trim().split(/\s+/).join(" ").replace(HARMFUL, "");
}

/** The paragraphs of a text of unknown origin. */
export function paragraphs(text: string): string[] {
  return text
    .split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
    .map(plain)
    .filter((line) => line !== "");
}

/** A text cut after a word. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  const head = text.slice(0, length);
  const space = head.lastIndexOf(" ");
  return `${(space > 0 ? head.slice(0, space) : head).replace(/[ ,;:.\ud800-\udbff]+$/, "")}…`;
}
