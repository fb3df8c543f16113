document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.path);
    button.textContent = "copied";
  } catch {
    const field = document.createElement("textarea");
    field.value = button.dataset.path;
    document.body.append(field);
    field.select();
    button.textContent = document.execCommand("copy") ? "copied" : button.dataset.path;
    field.remove();
  }
  setTimeout(() => { button.textContent = said; }, 1500);
});
