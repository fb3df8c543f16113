/** What is said of a search: above its results, in the window's title, and where it found nothing. */
import { titleOf } from "./describe.js";
import { plain, shortened } from "./dom.js";
import { asks, modeOf } from "./search.js";
const LONGEST = 80; // characters of what was asked
/** What is looked for; empty if nothing is. `liked` is the record that others should be like. */
export function subjectOf(search, liked) {
    if (liked !== null)
        return `more like “${titleOf(liked)}”`;
    const text = search.text === "" ? "" : `“${shortened(plain(search.text), LONGEST)}”`;
    if (search.picture === 0)
        return text;
    return text === "" ? "your picture" : `your picture + ${text}`;
}
/** The heading above results. */
export function headingOf(search, subject, space) {
    if (search.like !== "")
        return subject.replace(/^m/, "M");
    if (asks(search))
        return `Results for ${subject}`;
    if (search.conditions.size > 0)
        return "What meets the filters";
    return space === null ? "" : `${space.records.toLocaleString()} records in ${plain(space.name)}`;
}
export function adviceFor(search) {
    const advice = [];
    if (search.conditions.size > 0) {
        advice.push({
            reason: "Only what meets all the filters is looked at.",
            label: "Clear the filters",
            instead: { conditions: new Map() },
        });
    }
    if (asks(search) && search.modality !== "") {
        advice.push({
            reason: `Only ${search.modality === "image" ? "pictures" : "texts"} are looked for.`,
            label: "Show everything",
            instead: { modality: "" },
        });
    }
    if (modeOf(search) === "keyword") {
        advice.push({
            reason: "None of these words stands in any text or caption. Others may, or search by meaning.",
            label: "Search by meaning",
            instead: { mode: "vector" },
        });
    }
    return advice;
}
