/** What is said of a record and of why it was found. */

import { paragraphs, plain, shortened } from "./dom.js";
import type { Found, Hit, Json, SpaceRecord } from "./wire.js";

const DOUBTFUL = 0.1; // probability below which the best hit is wrong nineteen times of twenty
const LONGEST_SECTION = 120; // characters

export function isHit(found: Found): found is Hit {
  return "score" in found;
}

/** The record in a few words: its caption, its first line, where it stands, or its id. */
export function titleOf(record: SpaceRecord): string {
  const first = paragraphs(record.text ?? "")[0];
  return first === undefined ? whereOf(record) : shortened(first, 120);
}

/** What a picture shows, for who does not see it. */
export function alternativeOf(record: SpaceRecord): string {
  return plain(record.text ?? "") || `Picture without a caption: ${whereOf(record)}`;
}

export function whereOf(record: SpaceRecord): string {
  return plain(citation(record.metadata) ?? record.id);
}

/** Document, page, figure and section, as `unisem.presentation.citation` writes them. */
export function citation(metadata: { readonly [key: string]: Json }): string | null {
  const { file_name: name, kind, page = null, page_label: label = null, section } = metadata;
  if (typeof name !== "string" || typeof kind !== "string") return null;
  const parts = [name.replace(/\/+$/, "").split("/").at(-1) ?? name];
  if (page !== null) {
    parts.push(label === null || label === String(page) ? `p. ${page}` : `p. ${label} (${page})`);
  }
  if (typeof metadata["label"] === "string") parts.push(metadata["label"]);
  if (typeof section === "string") {
    const last = section.split(" > ").at(-1) ?? section;
    parts.push(`§ ${[...last].slice(0, LONGEST_SECTION).join("")}`);
  }
  return parts.join(", ");
}

/** Which of the record's parts was compared with the query. */
export function foundBy(hit: Hit): "picture" | "caption" | "text" | "picture and caption" {
  if (hit.matched === "image") return "picture";
  if (hit.matched === "both") return "picture and caption";
  return hit.record.image === null ? "text" : "caption";
}

/** The score as people read it; the small ones of hybrid searches with more digits. */
export function scoreOf(hit: Hit): string {
  const size = Math.abs(hit.score);
  return hit.score.toFixed(size > 0 && size < 0.05 ? 4 : 3);
}

export function percent(share: number): string {
  return share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

/** What to say where nothing may be an answer; null where something is, or nobody knows. */
export function doubt(hits: readonly Hit[]): string | null {
  const known = hits.flatMap((hit) => (hit.relevance === null ? [] : [hit.relevance]));
  const best = Math.max(...known);
  if (known.length === 0 || best >= DOUBTFUL) return null;
  const chance = best < 0.01 ? "less than 1 %" : percent(best);
  return `Perhaps nothing here is really like that: the best hit is relevant with a probability of ${chance}.`;
}

const RELATIONS: { readonly [relation: string]: string } = {
  previous: "Before it",
  next: "After it",
  figure: "Figure that it speaks of",
  mentioned_by: "What speaks of it",
  image: "The picture of these words",
  words: "Words in it",
  of_page: "The page that it is on",
};

/** How a neighbour stands to a record, for a heading. */
export function relationOf(link: string): string {
  const name = link.replace(/:\d+$/, "");
  return RELATIONS[name] ?? plain(name);
}

/** A metadata value on one line. */
export function valueOf(value: Json): string {
  if (Array.isArray(value)) return value.map(valueOf).join(", ");
  return plain(typeof value === "string" ? value : JSON.stringify(value));
}
