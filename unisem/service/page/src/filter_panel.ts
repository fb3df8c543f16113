/** The panel of filters, made from the metadata that a space has. */

import { changed, type Condition, type Conditions, isEmpty, NONE, shapeOf } from "./conditions.js";
import { button, make, plain } from "./dom.js";
import type { Field } from "./wire.js";

const FEW = 7; // values that are shown before anybody asks for all

export class FilterPanel {
  private fields: readonly Field[] = [];
  private conditions: Conditions = new Map();
  private readonly unfolded = new Set<string>();

  constructor(
    private readonly panel: HTMLElement,
    private readonly changedTo: (conditions: Conditions) => void,
  ) {}

  show(fields: readonly Field[], conditions: Conditions): void {
    const focused = document.activeElement?.getAttribute("data-key") ?? null;
    this.fields = fields.filter((field) => conditions.has(field.name) || isUseful(field));
    this.conditions = conditions;
    const clear = button("Clear", "quiet", () => this.changedTo(new Map()));
    clear.setAttribute("aria-label", "Clear all filters");
    this.panel.replaceChildren(
      make(
        "div",
        { class: "filters-head" },
        make("h2", {}, "Filters"),
        conditions.size > 0 ? clear : null,
      ),
      ...this.fields.map((field) => this.group(field)),
    );
    const again = [...this.panel.querySelectorAll<HTMLElement>("[data-key]")];
    if (focused !== null) again.find((each) => each.dataset["key"] === focused)?.focus();
  }

  get isEmpty(): boolean {
    return this.fields.length === 0;
  }

  private group(field: Field): HTMLElement {
    const condition = this.conditions.get(field.name) ?? NONE;
    const group = make("fieldset", { class: "group" }, make("legend", {}, plain(field.name)));
    if (shapeOf(field) !== "choice") group.append(...this.range(field, condition));
    else group.append(...this.choices(field, condition));
    return group;
  }

  private choices(field: Field, condition: Condition): HTMLElement[] {
    const known = field.values.map((each) => String(each.value));
    const others = condition.values.filter((value) => !known.includes(value));
    const isUnfolded = this.unfolded.has(field.name) || field.values.length <= FEW + 1;
    const shown = field.values.filter(
      (each, index) => isUnfolded || index < FEW || condition.values.includes(String(each.value)),
    );
    const rows = [
      ...others.map((value) => this.choice(field, condition, value, null)),
      ...shown.map((each) => this.choice(field, condition, String(each.value), each.records)),
    ];
    if (shown.length < field.values.length) {
      const all = button("More", "quiet", () => {
        this.unfolded.add(field.name);
        this.show(this.fields, this.conditions);
        this.panel
          .querySelector<HTMLElement>(`[data-key="${CSS.escape(keyOf(field, known[FEW] ?? ""))}"]`)
          ?.focus();
      });
      all.setAttribute("aria-label", `More values of ${plain(field.name)}`);
      rows.push(all);
    }
    return rows;
  }

  private choice(
    field: Field,
    condition: Condition,
    value: string,
    records: number | null,
  ): HTMLElement {
    const input = make("input", { type: "checkbox", "data-key": keyOf(field, value) });
    input.checked = condition.values.includes(value);
    input.addEventListener("change", () => {
      const others = condition.values.filter((each) => each !== value);
      this.set(field, { ...condition, values: input.checked ? [...others, value] : others });
    });
    return make(
      "label",
      { class: "choice" },
      input,
      make("span", { dir: "auto" }, plain(value) || "(empty)"),
      records === null ? null : make("small", {}, records.toLocaleString()),
    );
  }

  private range(field: Field, condition: Condition): HTMLElement[] {
    const least = this.end(field, "from", condition.least, field.least);
    const most = this.end(field, "to", condition.most, field.most);
    const set = (): void => this.set(field, { ...condition, least: least.value, most: most.value });
    least.addEventListener("change", set);
    most.addEventListener("change", set);
    return [
      make("div", { class: "range" }, least, make("span", { "aria-hidden": "true" }, "–"), most),
    ];
  }

  private end(field: Field, end: string, value: string, limit: number | null): HTMLInputElement {
    const type = shapeOf(field) === "date" ? "date" : "number";
    const input = make("input", {
      type,
      "data-key": keyOf(field, end),
      "aria-label": `${plain(field.name)} ${end}`,
    });
    if (type === "number") {
      input.step = "any";
      input.placeholder = limit === null ? "" : String(limit);
    }
    input.value = value;
    return input;
  }

  private set(field: Field, condition: Condition): void {
    this.changedTo(changed(this.conditions, field.name, isEmpty(condition) ? NONE : condition));
  }
}

function keyOf(field: Field, value: string): string {
  return JSON.stringify([field.name, value]);
}

/** Whether there is something to choose from: no field that all share, and no name of each. */
function isUseful(field: Field): boolean {
  if (field.kind === "number") return field.least !== field.most;
  if (shapeOf(field) === "date") return field.values.length > 1;
  const records = field.values.reduce((sum, each) => sum + each.records, 0);
  return field.values.length > 1 && records >= 2 * field.values.length;
}
