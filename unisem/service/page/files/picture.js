/** A record's picture on its mat, fetched with the token when it comes near the window. */
import { alternativeOf } from "./describe.js";
import { make } from "./dom.js";
import { Problem } from "./problem.js";
const NEAR = "600px"; // below the window
const SAMPLE = 24; // pixels a side, of which the edge is looked at
export class Pictures {
    api;
    loads = new WeakMap();
    watcher = new IntersectionObserver((entries) => {
        for (const entry of entries.filter((each) => each.isIntersecting)) {
            this.watcher.unobserve(entry.target);
            this.loads.get(entry.target)?.();
        }
    }, { rootMargin: NEAR });
    constructor(api) {
        this.api = api;
    }
    /**
     * A mat that will have the picture.
     *
     * @param signal When the picture is not wanted any more.
     */
    of(space, record, size, signal) {
        const mat = make("div", { class: "mat" });
        this.loads.set(mat, () => void this.load(mat, space, record, size, signal));
        this.watcher.observe(mat);
        return mat;
    }
    async load(mat, space, record, size, signal) {
        try {
            const url = URL.createObjectURL(await this.api.picture(space, record, size, signal));
            const image = make("img", { alt: size === "page" ? pageOf(record) : alternativeOf(record) });
            try {
                image.src = url;
                await image.decode();
            }
            finally {
                URL.revokeObjectURL(url); // what is decoded stays
            }
            if (size !== "page")
                mat.style.background = edgeColour(image);
            mat.classList.add("loaded");
            mat.replaceChildren(image);
        }
        catch (error) {
            if (signal.aborted)
                return;
            const why = error instanceof Problem ? error : null;
            const said = why?.detail || why?.title || "This picture cannot be shown.";
            mat.classList.add("loaded");
            mat.replaceChildren(make("p", { class: "missing" }, said));
        }
    }
}
function pageOf(record) {
    const region = record.image?.region ?? null;
    const page = region === null ? "The page" : `Page ${region.page}`;
    return `${page}, with a frame around: ${alternativeOf(record)}`;
}
/** The colour that the picture's edge mostly has, to continue it around the picture. */
function edgeColour(image) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SAMPLE;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null)
        return "";
    context.fillStyle = "white";
    context.fillRect(0, 0, SAMPLE, SAMPLE);
    context.drawImage(image, 0, 0, SAMPLE, SAMPLE);
    const pixels = context.getImageData(0, 0, SAMPLE, SAMPLE).data;
    const edge = [];
    for (let step = 0; step < SAMPLE; step++) {
        edge.push(step, SAMPLE * (SAMPLE - 1) + step, SAMPLE * step, SAMPLE * step + SAMPLE - 1);
    }
    const median = (channel) => {
        const sorted = edge.map((pixel) => pixels[4 * pixel + channel] ?? 255).sort((a, b) => a - b);
        return sorted[sorted.length >> 1] ?? 255;
    };
    return `rgb(${median(0)} ${median(1)} ${median(2)})`;
}
