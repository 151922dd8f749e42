// Rows that have a position are dragged, or moved by arrows, into an order; the page's own button saves it.
"use strict";
window.addEventListener("load", () => {
  const SORTED = ["#result_list tbody tr", "#pictures-group tr.has_original"];
  const field = (row) => row.querySelector("input[name$=-position]");
  const inOrder = (selector) => [...document.querySelectorAll(selector)].filter(field);

  function arrow(text, step) {
    const button = Object.assign(document.createElement("button"), {type: "button", textContent: text, className: "arrow"});
    button.setAttribute("aria-label", text);
    button.addEventListener("click", () => {
      step();
      button.focus();
    });
    return button;
  }

  function sort(selector) {
    const rows = inOrder(selector);
    const number = () => inOrder(selector).forEach((row, place) => { field(row).value = place + 1; });
    let dragged = null;
    for (const row of rows) {
      const move = (step) => {
        const others = inOrder(selector);
        const other = others[others.indexOf(row) + step];
        other?.[step < 0 ? "before" : "after"](row);
        number();
      };
      field(row).after(arrow("↑", () => move(-1)), arrow("↓", () => move(1)));
      row.draggable = true;
      row.addEventListener("dragstart", () => { dragged = row; });
      row.addEventListener("dragover", (event) => {
        event.preventDefault();
        if (!dragged || dragged === row) return;
        row[event.offsetY > row.offsetHeight / 2 ? "after" : "before"](dragged);
      });
      row.addEventListener("dragend", () => { dragged = null; number(); });
    }
  }

  SORTED.forEach(sort);
});
