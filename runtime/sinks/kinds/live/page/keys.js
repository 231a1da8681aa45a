// The keyboard.

export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const inControl = event.target.matches("input, button, summary");
    if (inControl && (event.key === " " || event.key === "Enter" || event.key.startsWith("Arrow"))) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = actions[key] ?? (/^[1-9]$/.test(key) ? () => actions.digit(Number(key) - 1) : null);
    if (!action) return;
    event.preventDefault();
    action();
  });
}
