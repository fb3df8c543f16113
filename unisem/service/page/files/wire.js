/** What travels between the page and the service, as `unisem.wire` writes it. */
export {};
