/** What was found, as cards in order. */
import { foundBy, isHit, percent, scoreOf, titleOf, whereOf } from "./describe.js";
import { button, make, paragraphs, plain, shortened } from "./dom.js";
const LONGEST_CAPTION = 160; // characters; the alternative text has all of it
const LONGEST_TEXT = 300;
const LEAST_LINE = 20; // less of a line says nothing
const SKELETONS = 8;
export class Gallery {
    pictures;
    actions;
    list = make("ol", { class: "gallery" });
    constructor(pictures, actions) {
        this.pictures = pictures;
        this.actions = actions;
    }
    /** The list with these cards. */
    of(space, found, signal) {
        this.list.replaceChildren();
        this.append(space, found, 0, signal);
        return this.list;
    }
    /** Put cards after those that are there; the first of them, to go on from. */
    append(space, found, before, signal) {
        const cards = found.map((each, index) => this.card(space, each, before + index + 1, signal));
        this.list.append(...cards);
        return cards[0]?.querySelector("a") ?? null;
    }
    card(space, found, rank, signal) {
        const { record } = found;
        const link = make("a", { class: "open", dir: "auto" }, titleOf(record));
        link.href = this.actions.addressOf(record);
        link.addEventListener("click", (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey)
                return; // a tab of its own
            event.preventDefault();
            this.actions.open(record);
        });
        const like = button("More like this", "quiet", () => this.actions.like(record));
        like.setAttribute("aria-label", `More like this: ${titleOf(record)}`);
        const picture = record.image === null ? null : this.pictures.of(space, record, "thumbnail", signal);
        return make("li", { class: record.image === null ? "card words" : "card" }, picture, make("div", { class: "body" }, isHit(found) ? facts(found, rank) : null, isHit(found) && found.copies.length > 0 ? this.copies(found) : null, record.image === null ? quote(record, link) : caption(record, link), make("p", { class: "where" }, make("span", { dir: "auto" }, whereOf(record)), like)));
    }
    /** Where else the picture is. */
    copies(hit) {
        const count = hit.copies.length;
        const links = hit.copies.map((record) => {
            const link = make("a", { dir: "auto" }, whereOf(record));
            link.href = this.actions.addressOf(record);
            return make("li", {}, link);
        });
        return make("details", { class: "copies" }, make("summary", {}, `and ${count} ${count === 1 ? "copy" : "copies"}`), make("ul", {}, ...links));
    }
}
/** How well it was found and why, for a card and for the detail view. */
export function facts(hit, rank) {
    const by = foundBy(hit);
    return make("div", { class: "facts" }, rank === null ? null : make("span", { class: "rank" }, String(rank)), make("span", { class: `badge ${hit.matched}`, title: "What was compared with what you asked for" }, by === "text" ? "by its words" : `by its ${by}`), hit.path.length === 0 ? null : wayOf(hit.path), hit.relevance === null ? null : relevance(hit.relevance), make("span", { class: "score", title: "Score" }, scoreOf(hit)));
}
function wayOf(path) {
    const title = "What leads to it from what you asked for";
    return make("span", { class: "way", dir: "auto", title }, path.map(plain).join(" → "));
}
function relevance(share) {
    const filled = make("i");
    filled.style.width = `${Math.round(100 * share)}%`;
    const bar = make("span", { class: "bar-of", "aria-hidden": "true" }, filled);
    const title = "How probable it is that this is relevant";
    return make("span", { class: "relevance", title }, bar, make("b", {}, percent(share)), make("span", { class: "word" }, " relevant"));
}
function caption(record, link) {
    const rest = paragraphs(record.text ?? "").join(" ");
    link.replaceChildren(rest === "" ? "No caption" : shortened(rest, LONGEST_CAPTION));
    if (rest === "")
        link.setAttribute("aria-label", titleOf(record));
    return make("p", { class: rest === "" ? "caption none" : "caption" }, link);
}
function quote(record, link) {
    let left = LONGEST_TEXT;
    const lines = [];
    for (const line of paragraphs(record.text ?? "")) {
        if (left < LEAST_LINE)
            break;
        lines.push(make("span", { class: "line" }, shortened(line, left)));
        left -= line.length;
    }
    if (lines.length > 0)
        link.replaceChildren(...lines);
    return make("blockquote", {}, link);
}
/** Where cards will be. */
export function skeletons() {
    const cards = Array.from({ length: SKELETONS }, () => make("li", { class: "card skeleton" }, make("div", { class: "mat" }), make("div", { class: "body" }, make("span"), make("span"))));
    return make("ol", { class: "gallery", "aria-hidden": "true" }, ...cards);
}
