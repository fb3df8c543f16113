/** What is looked for and what is open, as the address says it. */
import { read, written } from "./conditions.js";
export const NOTHING = {
    space: "",
    text: "",
    picture: 0,
    like: "",
    weight: 0.5,
    mode: "vector",
    modality: "",
    related: false,
    conditions: new Map(),
    record: "",
};
/** Whether anything is looked for; else everything is listed. */
export function asks(search) {
    return search.text !== "" || search.picture !== 0 || search.like !== "";
}
/** How a search is done: words are looked for only where there are some, and not in a picture. */
export function modeOf(search) {
    if (search.text === "")
        return "vector";
    return search.picture !== 0 && search.mode === "keyword" ? "hybrid" : search.mode;
}
/** The part of an address after its path. */
export function addressOf(search) {
    const parameters = new URLSearchParams();
    if (search.space !== "")
        parameters.set("space", search.space);
    if (search.text !== "")
        parameters.set("q", search.text);
    if (search.picture !== 0)
        parameters.set("picture", String(search.picture));
    if (search.like !== "")
        parameters.set("like", search.like);
    if (search.weight !== NOTHING.weight)
        parameters.set("weight", String(search.weight));
    if (search.mode !== NOTHING.mode)
        parameters.set("mode", search.mode);
    if (search.modality !== "")
        parameters.set("modality", search.modality);
    if (search.related)
        parameters.set("related", "1");
    written(search.conditions, parameters);
    if (search.record !== "")
        parameters.set("record", search.record);
    const said = parameters.toString();
    return said === "" ? location.pathname : `?${said}`;
}
/** What an address asks for; what is not understood in it is left out. */
export function searchAt(address) {
    const parameters = new URLSearchParams(address);
    const said = (name) => parameters.get(name) ?? "";
    const mode = said("mode");
    const modality = said("modality");
    const weight = parameters.has("weight") ? Number(said("weight")) : NaN;
    const picture = Number(said("picture"));
    return {
        space: said("space"),
        text: said("q"),
        picture: Number.isSafeInteger(picture) && picture > 0 ? picture : 0,
        like: said("like"),
        weight: weight >= 0 && weight <= 1 ? weight : NOTHING.weight,
        mode: mode === "keyword" || mode === "hybrid" ? mode : "vector",
        modality: modality === "image" || modality === "text" ? modality : "",
        related: said("related") === "1",
        conditions: read(parameters),
        record: said("record"),
    };
}
/** Whether two searches find the same, whatever is open. */
export function isSame(one, other) {
    return addressOf({ ...one, record: "" }) === addressOf({ ...other, record: "" });
}
