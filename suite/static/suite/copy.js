/* « Copier » : shown only where it works; without it the text is selected by hand. */
document.querySelectorAll("button[data-copy]").forEach((button) => {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) return;
  const words = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText("value" in source ? source.value : source.textContent);
      button.textContent = "Copié";
    } catch {
      button.textContent = "Copie impossible";
    }
    setTimeout(() => { button.textContent = words; }, 2000);
  });
});
