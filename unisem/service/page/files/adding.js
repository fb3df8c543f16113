/** The dialog that adds pictures with captions, or a text, to a space. */
import { make, part } from "./dom.js";
import { Problem } from "./problem.js";
import { dataOf } from "./file_data.js";
import { picturesIn } from "./query_picture.js";
const MOST = 100; // pictures in the list
const LARGEST = 16_000_000; // bytes of a picture that is kept as it is
export class Adding {
    api;
    added;
    dialog = part("adding", HTMLDialogElement);
    files = part("adding-files", HTMLInputElement);
    zone = part("adding-zone", HTMLElement);
    list = part("adding-list", HTMLElement);
    text = part("adding-text", HTMLTextAreaElement);
    problem = part("adding-problem", HTMLElement);
    send = part("adding-send", HTMLButtonElement);
    offered = [];
    ids = []; // of what has been added since the dialog was opened
    space = "";
    opening = 0; // counted up by opening and by closing, which end what is being added
    isBusy = false;
    /** @param added What to do with the ids of what was added. */
    constructor(api, added) {
        this.api = api;
        this.added = added;
        this.files.addEventListener("change", () => {
            this.offer([...(this.files.files ?? [])]);
            this.files.value = "";
        });
        this.zone.addEventListener("dragover", (event) => event.preventDefault());
        this.dialog.addEventListener("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            this.offer(picturesIn(event.dataTransfer));
        });
        this.text.addEventListener("input", () => this.allow());
        this.dialog.addEventListener("close", () => {
            this.opening += 1;
            if (this.ids.length > 0)
                this.added(this.ids);
        });
        part("adding-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
        part("adding-form", HTMLFormElement).addEventListener("submit", (event) => {
            event.preventDefault();
            void this.submit();
        });
    }
    get isOpen() {
        return this.dialog.open;
    }
    open(space) {
        this.opening += 1;
        this.space = space;
        this.offered = [];
        this.ids = [];
        this.list.replaceChildren();
        this.text.value = "";
        this.tell(null);
        this.allow();
        part("adding-space", HTMLElement).textContent = space;
        this.dialog.showModal();
    }
    offer(files) {
        const taken = files.slice(0, Math.max(0, MOST - this.offered.length));
        for (const file of taken)
            this.list.append(this.row(file));
        this.tell(taken.length < files.length ? `At most ${MOST} pictures at once.` : null);
        this.allow();
    }
    row(file) {
        const image = make("img", { alt: "" });
        image.src = URL.createObjectURL(file);
        image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
        const caption = make("input", {
            type: "text",
            dir: "auto",
            placeholder: "What it shows (optional)",
            "aria-label": `Caption of ${file.name}`,
        });
        const remove = make("button", { type: "button", class: "quiet", "aria-label": `Leave out ${file.name}` }, "Leave out");
        const row = make("li", {}, image, caption, remove);
        remove.addEventListener("click", () => {
            this.leaveOut(offered);
            this.allow();
            this.files.focus();
        });
        const offered = { file, caption, row };
        this.offered.push(offered);
        return row;
    }
    /** Add one after the other; what cannot be added stays in the list, with the reason. */
    async submit() {
        if (this.isBusy)
            return;
        this.isBusy = true;
        this.allow();
        this.tell(null);
        const { opening, space } = this;
        const all = this.offered.length;
        for (const [index, offered] of [...this.offered].entries()) {
            if (opening !== this.opening)
                break;
            this.send.textContent = all === 1 ? "Adding …" : `Adding ${index + 1} of ${all} …`;
            await this.attempt(opening, offered.file.name, async () => {
                const image = await dataOf(offered.file, LARGEST);
                const text = offered.caption.value.trim() || null;
                await this.addOne(space, { text, image, metadata: { file_name: offered.file.name } });
                this.leaveOut(offered);
            });
        }
        await this.attempt(opening, "The text", async () => {
            const text = this.text.value.trim();
            if (text === "")
                return;
            await this.addOne(space, { text, image: null, metadata: {} });
            if (opening === this.opening)
                this.text.value = "";
        });
        this.isBusy = false;
        this.send.textContent = "Add";
        this.allow();
        if (opening === this.opening && this.problem.hidden)
            this.dialog.close();
    }
    async addOne(space, record) {
        const { opening } = this;
        const ids = await this.api.add(space, [record]);
        if (opening === this.opening)
            this.ids.push(...ids);
    }
    /** Do a part of what is being added, unless the dialog was closed meanwhile. */
    async attempt(opening, what, act) {
        if (opening !== this.opening)
            return;
        try {
            await act();
        }
        catch (error) {
            if (opening !== this.opening)
                return;
            const { title, detail, remedy } = Problem.from(error);
            const why = [title, detail, remedy].filter((words) => words !== "").join(". ");
            this.tell(`${this.problem.textContent ?? ""}\n${what}: ${why}`.trim());
        }
    }
    leaveOut(offered) {
        this.offered = this.offered.filter((each) => each !== offered);
        offered.row.remove();
    }
    allow() {
        const isEmpty = this.offered.length === 0 && this.text.value.trim() === "";
        this.send.disabled = this.isBusy || isEmpty;
    }
    tell(problem) {
        this.problem.textContent = problem ?? "";
        this.problem.hidden = problem === null;
    }
}
