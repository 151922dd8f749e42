// Rows of a list are dragged, or moved by arrows, into an order; the list's own button saves it.
"use strict";
window.addEventListener("load", () => {
  const body = document.querySelector("#result_list tbody");
  const field = (row) => row.querySelector("input[name$=-position]");
  const rows = () => [...(body?.rows ?? [])];
  if (!rows().length || !rows().every(field)) return;

  const number = () => rows().forEach((row, place) => { field(row).value = place + 1; });
  const arrow = (row, text, step) => {
    const button = Object.assign(document.createElement("button"), {type: "button", textContent: text, className: "arrow"});
    button.setAttribute("aria-label", text);
    button.addEventListener("click", () => {
      step(row);
      number();
      button.focus();
    });
    return button;
  };
  let dragged = null;
  for (const row of rows()) {
    field(row).after(
      arrow(row, "↑", () => row.previousElementSibling?.before(row)),
      arrow(row, "↓", () => row.nextElementSibling?.after(row)));
    row.draggable = true;
    row.addEventListener("dragstart", () => { dragged = row; });
    row.addEventListener("dragover", (event) => {
      event.preventDefault();
      if (!dragged || dragged === row) return;
      row[event.offsetY > row.offsetHeight / 2 ? "after" : "before"](dragged);
    });
    row.addEventListener("dragend", () => { dragged = null; number(); });
  }
});
