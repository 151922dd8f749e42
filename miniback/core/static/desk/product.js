// The product's page: options unfold into SKUs, pictures are dropped, text is written as it will look.
"use strict";
window.addEventListener("load", () => {
  const words = document.getElementById("desk-words").dataset;
  const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), {textContent: text, ...more});
  const rows = (group) => [...document.querySelectorAll(`#${group}-group tr.form-row:not(.empty-form)`)];
  const field = (row, name) => row.querySelector(`[name$="-${name}"]`);
  const parts = (text, between) => text.split(between).map((part) => part.trim()).filter(Boolean);

  // Options and SKUs

  function options() {
    return rows("options")
      .filter((row) => !(field(row, "DELETE") || {}).checked)
      .map((row) => [field(row, "name").value.trim(), parts(field(row, "values").value, /[,，、]/)])
      .filter(([name, values]) => name && values.length);
  }

  const text = (pairs) => pairs.map(([name, value]) => `${name}: ${value}`).join("; ");
  const known = (row) => text(parts(field(row, "options").value, /[;；]/).map((pair) => parts(pair, /[:：]/)));

  function unfold() {
    const chosen = options();
    if (!chosen.length) return;
    const combinations = chosen.reduce(
      (all, [name, values]) => all.flatMap((head) => values.map((value) => [...head, [name, value]])), [[]]);
    if (combinations.length > 200) return window.alert(words.tooMany);
    const there = new Set(rows("skus").map(known));
    const code = `P${Date.now().toString(36).toUpperCase()}`;
    combinations.forEach((pairs, number) => {
      if (there.has(text(pairs))) return;
      document.querySelector("#skus-group .add-row a").click();
      const row = rows("skus").at(-1);
      field(row, "options").value = text(pairs);
      field(row, "code").value = `${code}-${number + 1}`;
    });
  }

  const everywhere = (name, value) => rows("skus").forEach((row) => { field(row, name).value = value; });

  const skus = document.querySelector("#skus-group h2");
  // The admin's own "add another" comes a little later than this.
  if (skus && document.querySelector("#skus-group .empty-form")) {
    const bar = make("p", "", {className: "desk-bar"});
    bar.append(make("button", words.unfold, {type: "button", className: "button", onclick: unfold}));
    for (const [name, label] of [["price_fen", words.price], ["stock_change", words.stock]]) {
      const input = make("input", "", {type: "text", size: 8, inputMode: "decimal"});
      input.setAttribute("aria-label", label);
      bar.append(make("button", label, {type: "button", className: "button", onclick: () => everywhere(name, input.value)}), input);
    }
    skus.after(bar);
  }

  // Pictures

  const drop = document.getElementById("id_new_pictures");
  if (drop) {
    const zone = make("div", words.drop, {className: "desk-drop"});
    const shown = make("div", "", {className: "desk-shown"});
    const show = () => shown.replaceChildren(...[...drop.files].map((file) => {
      const picture = make("img", "", {alt: file.name, src: URL.createObjectURL(file)});
      picture.onload = () => URL.revokeObjectURL(picture.src);
      return picture;
    }));
    drop.after(zone, shown);
    drop.addEventListener("change", show);
    zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      const files = new DataTransfer();
      for (const file of [...drop.files, ...event.dataTransfer.files]) files.items.add(file);
      drop.files = files.files;
      show();
    });
  }

  // Description

  const source = document.getElementById("id_detail_html");
  if (source && source.tagName === "TEXTAREA") {
    const editor = make("div", "", {contentEditable: "true", className: "desk-editor", innerHTML: source.value});
    editor.setAttribute("role", "textbox");
    editor.setAttribute("aria-multiline", "true");
    editor.setAttribute("aria-label", words.description);
    const bar = make("p", "", {className: "desk-bar"});
    const commands = [["bold", "", words.bold], ["formatBlock", "h3", words.heading], ["formatBlock", "p", words.paragraph],
      ["insertUnorderedList", "", words.list], ["removeFormat", "", words.plain]];
    for (const [command, value, label] of commands) {
      bar.append(make("button", label, {type: "button", className: "button", onclick: () => {
        editor.focus();
        document.execCommand(command, false, value);
      }}));
    }
    const picture = make("input", "", {type: "file", accept: "image/*", hidden: true});
    const insert = async (file) => {
      const body = new FormData();
      body.append("picture", file);
      body.append("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]").value);
      const answer = await (await fetch(words.pictureUrl, {method: "POST", body})).json();
      if (answer.error) return window.alert(answer.error);
      editor.focus();
      document.execCommand("insertImage", false, answer.url);
    };
    const insertAll = (event, files) => {
      const pictures = [...files].filter((file) => file.type.startsWith("image/"));
      if (!pictures.length) return;
      event.preventDefault();
      pictures.forEach(insert);
    };
    picture.addEventListener("change", () => { [...picture.files].forEach(insert); picture.value = ""; });
    editor.addEventListener("paste", (event) => insertAll(event, event.clipboardData.files));
    editor.addEventListener("drop", (event) => insertAll(event, event.dataTransfer.files));
    bar.append(make("button", words.picture, {type: "button", className: "button", onclick: () => picture.click()}), picture);
    const swap = () => {
      const isSource = !source.hidden;
      if (isSource) editor.innerHTML = source.value;
      source.hidden = isSource;
      editor.hidden = !isSource;
    };
    bar.append(make("button", "HTML", {type: "button", className: "button", onclick: swap}));
    editor.addEventListener("input", () => { source.value = editor.innerHTML; });
    source.before(bar, editor);
    source.hidden = true;
  }
});
