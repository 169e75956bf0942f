// Text into the clipboard: a command, or the timeline as a terminal shows it.

export function listenToCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy], [data-copy-from]");
    if (!button) return;
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(await textOf(button));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Could not copy";
    }
    setTimeout(() => (button.textContent = said), 1_500);
  });
}

async function textOf({ dataset }) {
  if (dataset.copy) return dataset.copy;
  const answer = await fetch(dataset.copyFrom, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.text();
}
