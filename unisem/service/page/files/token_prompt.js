/** The dialog that asks for a token. */
import { part } from "./dom.js";
const TOKEN = /^[\x21-\x7e]+$/; // what a header can carry
/** Ask for one; null if the dialog is left. `refused` says that the last one was not accepted. */
export function askForToken(refused) {
    const dialog = part("token-dialog", HTMLDialogElement);
    const form = part("token-form", HTMLFormElement);
    const input = part("token", HTMLInputElement);
    part("token-problem", HTMLElement).hidden = !refused;
    input.value = "";
    return new Promise((resolve) => {
        const left = new AbortController();
        const { signal } = left;
        let given = null;
        form.addEventListener("submit", () => {
            const typed = input.value.trim();
            given = TOKEN.test(typed) ? typed : null;
        }, { signal });
        part("token-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close(), {
            signal,
        });
        dialog.addEventListener("close", () => {
            left.abort();
            input.value = "";
            resolve(given);
        }, { signal });
        dialog.showModal();
        input.focus();
    });
}
