/** Conditions on metadata: chosen in the panel, kept in the address, sent as a filter. */

import type { Field, Json } from "./wire.js";

/** What is asked of one field: one of these values, or from the least to the most. */
export interface Condition {
  readonly values: readonly string[];
  readonly least: string;
  readonly most: string;
}

export type Conditions = ReadonlyMap<string, Condition>;

export const NONE: Condition = { values: [], least: "", most: "" };

export function isEmpty(condition: Condition): boolean {
  return condition.values.length === 0 && condition.least === "" && condition.most === "";
}

/** The same conditions but for one field. */
export function changed(conditions: Conditions, field: string, condition: Condition): Conditions {
  const copy = new Map(conditions);
  if (isEmpty(condition)) copy.delete(field);
  else copy.set(field, condition);
  return copy;
}

/** Whether values are chosen of a field, or a least and a most one. */
export function shapeOf(field: Field): "choice" | "number" | "date" {
  if (field.kind === "number") return "number";
  const { values } = field;
  const areDates = values.length > 0 && values.every(({ value }) => DATE.test(String(value)));
  return field.kind === "string" && areDates ? "date" : "choice";
}

const DATE = /^\d{4}-\d{2}-\d{2}(T.*)?$/s;

/** As parameters of an address: `in.category=animals&min.year=2020`. */
export function written(conditions: Conditions, parameters: URLSearchParams): void {
  for (const [field, condition] of conditions) {
    for (const value of condition.values) parameters.append(`in.${field}`, value);
    if (condition.least !== "") parameters.append(`min.${field}`, condition.least);
    if (condition.most !== "") parameters.append(`max.${field}`, condition.most);
  }
}

/** What `written` has written. */
export function read(parameters: URLSearchParams): Conditions {
  let conditions: Conditions = new Map();
  for (const [name, value] of parameters) {
    const [, part, field] = /^(in|min|max)\.(.+)$/s.exec(name) ?? [];
    if (part === undefined || field === undefined) continue;
    const before = conditions.get(field) ?? NONE;
    const after =
      part === "in"
        ? { ...before, values: [...before.values, value] }
        : part === "min"
          ? { ...before, least: value }
          : { ...before, most: value };
    conditions = changed(conditions, field, after);
  }
  return conditions;
}

/** The filter that the service understands; null if everything may be found. */
export function filterOf(conditions: Conditions, fields: readonly Field[]): Json {
  const all: Json[] = [];
  for (const [name, { values, least, most }] of conditions) {
    const field = fields.find((each) => each.name === name);
    const shape = field === undefined ? "choice" : shapeOf(field);
    if (values.length > 0) {
      const typed = values.map((value) => typedAs(value, field));
      all.push({ field: name, operator: field?.kind === "list" ? "any" : "in", value: typed });
    }
    if (least !== "") all.push({ field: name, operator: "ge", value: bound(least, shape) });
    if (most !== "" && shape === "date") all.push(upTo(name, most));
    else if (most !== "") all.push({ field: name, operator: "le", value: bound(most, shape) });
  }
  if (all.length === 0) return null;
  return all.length === 1 ? (all[0] ?? null) : { and: all };
}

/** The value of the field that reads like this. */
function typedAs(value: string, field: Field | undefined): Json {
  return field?.values.find((known) => String(known.value) === value)?.value ?? value;
}

function bound(value: string, shape: string): Json {
  return shape === "number" && Number.isFinite(Number(value)) ? Number(value) : value;
}

/** Up to the end of a day: dates may have times, which are longer strings. */
function upTo(field: string, day: string): Json {
  const next = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(next.getTime())) return { field, operator: "le", value: day };
  next.setUTCDate(next.getUTCDate() + 1);
  return { field, operator: "lt", value: next.toISOString().slice(0, 10) };
}
