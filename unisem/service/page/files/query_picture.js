/** Pictures to search with: from a file, dropped or pasted; kept as long as the tab lives. */
import { dataOf } from "./file_data.js";
const LARGEST = 2_000_000; // bytes that are sent as they are; no model looks closer
const kept = [];
/** Keep a picture; its number, from 1. */
export async function keepPicture(file) {
    const data = await dataOf(file, LARGEST);
    return kept.push({ name: file.name, data });
}
/** The picture of this number; null if it was another tab's, or before the page was loaded. */
export function pictureNumber(number) {
    return kept[number - 1] ?? null;
}
/** The first picture that was dropped or pasted; null if there is none. */
export function pictureIn(transfer) {
    return picturesIn(transfer)[0] ?? null;
}
export function picturesIn(transfer) {
    return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}
/** Whether what is dragged over the page may be a picture; its type is often not told yet. */
export function bringsFiles(transfer) {
    return transfer?.types.includes("Files") ?? false;
}
