// Names for controls that the admin shows under a heading, for those who do not see the heading.
"use strict";
{
  const name = (control, text) => {
    if (text && !control.labels?.length && !control.getAttribute("aria-label")) control.setAttribute("aria-label", text.trim());
  };
  const above = (root, controls) => {
    for (const control of root.querySelectorAll(controls)) {
      name(control, control.closest(".form-row")?.querySelector("label, legend")?.textContent);
    }
  };
  const label = (root) => {
    for (const cell of root.querySelectorAll(".inline-group td, #result_list td")) {
      const heading = cell.closest("table").querySelectorAll("thead th")[[...cell.parentNode.children].indexOf(cell)];
      for (const control of cell.querySelectorAll("input:not([type=hidden]), select, textarea")) name(control, heading?.textContent);
    }
    above(root, ".datetime input");
    for (const icon of root.querySelectorAll(".help-tooltip[aria-label]")) icon.setAttribute("role", "img");
    // What scrolls sideways is reached by the keyboard too.
    for (const box of root.querySelectorAll(".inline-group, .results, #content .module")) {
      if (box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible") box.tabIndex = 0;
    }
    // Its own label is a picture.
    const search = root.querySelector("#searchbar");
    search?.setAttribute("aria-label", search.form.querySelector("[type=submit]").value);
  };
  window.addEventListener("load", () => {
    label(document);
    // These are made anew whenever something is chosen.
    const fields = () => above(document, ".select2-selection__rendered, .select2-search__field");
    new MutationObserver(fields).observe(document.body, {childList: true, subtree: true});
    fields();
  });
  document.addEventListener("formset:added", () => label(document));
}
