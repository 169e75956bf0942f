// Copies text to the clipboard: a command, or the timeline as the terminal prints it.

export function listenToCopyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy], [data-copy-from]");
    if (!button) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(await textFor(button));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Could not copy";
    }
    setTimeout(() => (button.textContent = label), 1_500);
  });
}

async function textFor({ dataset }) {
  if (dataset.copy) return dataset.copy;
  const response = await fetch(dataset.copyFrom, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.text();
}
