/** A picture's file as a `data:` URL, as it is or, if it is too large to send, smaller. */
import { Problem } from "./problem.js";
const SIDE = 1600; // pixels of the longer side of what is sent of a larger one
const KNOWN = ["image/png", "image/jpeg", "image/webp", "image/gif"]; // to every service
/**
 * What is sent of a file.
 *
 * @param largest Bytes that are sent as they are. What is larger, or of a type that the service may
 *   not know (photographs of some telephones), becomes a JPEG, if this browser can read it.
 */
export async function dataOf(file, largest) {
    if (file.size <= largest && KNOWN.includes(file.type))
        return read(file);
    let bitmap;
    try {
        bitmap = await createImageBitmap(file);
    }
    catch {
        if (file.size <= largest)
            return read(file); // the service may know it, or says what is wrong
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
