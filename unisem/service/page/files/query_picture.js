/** Pictures to search with: from a file, dropped or pasted; kept as long as the tab lives. */
import { Problem } from "./problem.js";
const LARGEST = 2_000_000; // bytes that are sent as they are
const SIDE = 1600; // pixels of the longer side of what is sent of a larger one
const kept = [];
/** Keep a picture; its number, from 1. */
export async function keepPicture(file) {
    const data = await dataOf(file);
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
/** A picture as a `data:` URL, smaller than it was if it is large: no model looks closer. */
export async function dataOf(file) {
    if (file.size <= LARGEST && file.type.startsWith("image/"))
        return read(file);
    let bitmap;
    try {
        bitmap = await createImageBitmap(file);
    }
    catch {
        throw new Problem(0, "This is not a picture", `“${file.name}” cannot be read as one.`, "Choose a PNG, JPEG, WebP or GIF.");
    }
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    if (context !== null) {
        context.fillStyle = "white"; // below what is transparent
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    }
    bitmap.close();
    return canvas.toDataURL("image/jpeg", 0.92);
}
function read(file) {
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(String(reader.result));
        reader.onerror = () => reject(new Problem(0, "This file cannot be read", file.name));
        reader.readAsDataURL(file);
    });
}
