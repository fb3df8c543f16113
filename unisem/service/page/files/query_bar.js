/** The search box with the picture in it, and the choices below it. */
import { titleOf } from "./describe.js";
import { make, part, shortened } from "./dom.js";
import { bringsFiles, pictureIn, pictureNumber } from "./query_picture.js";
import { asks, modeOf } from "./search.js";
export class QueryBar {
    pictures;
    actions;
    text = part("text", HTMLInputElement);
    file = part("file", HTMLInputElement);
    asked = part("asked", HTMLElement);
    modes = part("modes", HTMLFieldSetElement);
    modalities = part("modalities", HTMLFieldSetElement);
    relating = part("relating", HTMLElement);
    related = part("related", HTMLInputElement);
    weighing = part("weighing", HTMLElement);
    weight = part("weight", HTMLInputElement);
    drop = part("drop", HTMLElement);
    loading = new AbortController();
    constructor(pictures, actions) {
        this.pictures = pictures;
        this.actions = actions;
        part("search", HTMLFormElement).addEventListener("submit", (event) => {
            event.preventDefault();
            actions.submit(this.text.value.trim());
        });
        part("choose", HTMLButtonElement).addEventListener("click", () => this.file.click());
        this.file.addEventListener("change", () => {
            const file = this.file.files?.[0];
            this.file.value = "";
            if (file !== undefined)
                actions.withPicture(file);
        });
        this.modes.addEventListener("change", (event) => {
            const mode = chosen(event);
            if (mode === "vector" || mode === "keyword" || mode === "hybrid")
                actions.choose({ mode });
        });
        this.modalities.addEventListener("change", (event) => {
            const modality = chosen(event);
            if (modality === "" || modality === "image" || modality === "text")
                actions.choose({ modality });
        });
        this.related.addEventListener("change", () => actions.choose({ related: this.related.checked }));
        this.weight.addEventListener("change", () => actions.choose({ weight: Number(this.weight.value) }));
        this.listenForPictures();
        document.addEventListener("keydown", (event) => {
            const { target } = event;
            const isTyping = target instanceof Element && target.matches("input, textarea, select, dialog *");
            if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey)
                return;
            event.preventDefault();
            this.text.focus();
            this.text.select();
        });
    }
    get typed() {
        return this.text.value.trim();
    }
    /** Show what is looked for; `liked` is the record that others should be like. */
    show(space, search, liked, hasGraph) {
        this.loading.abort();
        this.loading = new AbortController();
        this.text.value = search.text;
        this.modes.hidden = search.text === "";
        this.modalities.hidden = !asks(search);
        this.weighing.hidden = search.picture === 0 || search.text === "";
        this.weight.value = String(search.weight);
        this.relating.hidden = search.text === "" || !hasGraph;
        this.related.checked = search.related;
        check(this.modes, modeOf(search));
        check(this.modalities, search.modality);
        for (const input of this.modes.querySelectorAll("input")) {
            input.disabled = input.value === "keyword" && search.picture !== 0;
        }
        if (search.picture !== 0)
            this.showPicture(search.picture);
        else if (liked !== null)
            this.showRecord(space, liked);
        else
            this.asked.replaceChildren();
        this.asked.hidden = this.asked.childElementCount === 0;
        this.text.placeholder =
            search.picture !== 0 ? "Add what should be different" : "Describe a picture or a text";
    }
    showPicture(number) {
        const picture = pictureNumber(number);
        if (picture === null) {
            this.asked.replaceChildren();
            return;
        }
        const image = make("img", { alt: "" });
        image.src = picture.data;
        this.asked.replaceChildren(image, make("span", { class: "hidden" }, picture.name), this.remove("Remove the picture"));
    }
    showRecord(space, record) {
        const title = titleOf(record);
        this.asked.replaceChildren(record.image === null
            ? make("span", { class: "like", dir: "auto" }, `Like “${shortened(title, 24)}”`)
            : this.pictures.of(space, record, "thumbnail", this.loading.signal), this.remove(`Remove: like “${title}”`));
    }
    remove(label) {
        const cross = make("button", { type: "button", class: "remove", "aria-label": label, title: label }, "×");
        cross.addEventListener("click", () => {
            this.actions.withoutPicture();
            this.text.focus();
        });
        return cross;
    }
    listenForPictures() {
        document.addEventListener("paste", (event) => {
            const picture = pictureIn(event.clipboardData);
            if (picture === null || !this.actions.dropIsWanted())
                return;
            event.preventDefault();
            this.actions.withPicture(picture);
        });
        document.addEventListener("dragover", (event) => {
            if (!bringsFiles(event.dataTransfer))
                return;
            event.preventDefault();
            this.drop.hidden = !this.actions.dropIsWanted();
        });
        document.addEventListener("dragleave", (event) => {
            if (event.relatedTarget === null)
                this.drop.hidden = true; // out of the window
        });
        document.addEventListener("drop", (event) => {
            this.drop.hidden = true;
            if (!bringsFiles(event.dataTransfer))
                return;
            event.preventDefault(); // the browser would leave the page for the file
            if (!this.actions.dropIsWanted())
                return;
            const picture = pictureIn(event.dataTransfer);
            if (picture === null)
                this.actions.refuse("What you dropped is not a picture.");
            else
                this.actions.withPicture(picture);
        });
    }
}
function chosen(event) {
    return event.target instanceof HTMLInputElement ? event.target.value : null;
}
function check(group, value) {
    for (const input of group.querySelectorAll("input"))
        input.checked = input.value === value;
}
