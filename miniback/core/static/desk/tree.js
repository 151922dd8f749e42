// Categories are dragged: into the upper part of a row means before it, the lower after it, the middle below it.
"use strict";
window.addEventListener("load", () => {
  const rows = [...document.querySelectorAll(".tree li")];
  const form = document.getElementById("move");
  let dragged = null;

  const place = (event, row) => {
    const part = (event.clientY - row.getBoundingClientRect().top) / row.offsetHeight;
    return part < 0.3 ? "before" : part > 0.7 ? "after" : "into";
  };
  const clear = () => rows.forEach((row) => row.classList.remove("before", "after", "into"));
  // The next row that hangs where this one does, if there is one.
  const behind = (row) => rows.slice(rows.indexOf(row) + 1)
    .find((other) => other !== dragged && other.dataset.parent === row.dataset.parent)?.dataset.id ?? "";

  for (const row of rows) {
    row.draggable = true;
    row.addEventListener("dragstart", (event) => { dragged = row; event.dataTransfer.effectAllowed = "move"; });
    row.addEventListener("dragover", (event) => {
      if (!dragged || dragged === row) return;
      event.preventDefault();
      clear();
      row.classList.add(place(event, row));
    });
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!dragged || dragged === row) return;
      const {id, parent} = row.dataset;
      const [below, before] = {before: [parent, id], after: [parent, behind(row)], into: [id, ""]}[place(event, row)];
      const to = Object.assign(document.createElement("input"), {type: "hidden", name: "to", value: `${dragged.dataset.id}:${below}:${before}`});
      form.append(to);
      form.submit();
    });
    row.addEventListener("dragend", () => { dragged = null; clear(); });
  }
});
