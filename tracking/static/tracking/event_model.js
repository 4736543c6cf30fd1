// An event model's rows of fields: adds and removes them on the spot.
// Without it the page has empty rows to fill in, and boxes that remove rows when it is saved.
"use strict";
(function () {
  function changed(element) {
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function setUpRow(row, label) {
    const box = row.querySelector(".tr-delete");
    if (!box) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button tr-remove-row";
    button.textContent = label;
    button.addEventListener("click", function () {
      box.checked = true;
      row.hidden = true;
      changed(box);
    });
    box.hidden = true;
    box.parentElement.append(button);
    row.hidden = box.checked;
  }

  function setUp(table) {
    const template = table.querySelector(".tr-row-template");
    const add = table.querySelector(".tr-add-row");
    if (!template || !add) return;
    const label = template.dataset.remove;
    const total = table.querySelector("[name$='-TOTAL_FORMS']");
    const rows = table.querySelector(".tr-rows");
    const extras = rows.querySelectorAll("[data-extra]");
    // The empty rows are for browsers that cannot add one; where there is nothing, one is left.
    for (const extra of Array.from(extras).slice(rows.children.length === extras.length ? 1 : 0)) {
      extra.remove();
      total.value = Number(total.value) - 1;
    }
    for (const row of rows.children) setUpRow(row, label);
    add.parentElement.hidden = false;
    add.addEventListener("click", function () {
      if (Number(total.value) >= 2 * Number(table.dataset.most)) return;
      const holder = document.createElement("tbody");
      holder.innerHTML = template.innerHTML.replaceAll("__prefix__", total.value);
      const row = holder.firstElementChild;
      total.value = Number(total.value) + 1;
      rows.append(row);
      setUpRow(row, label);
      row.querySelector(".tr-path").focus();
      changed(total);
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const table of document.querySelectorAll(".tr-fields")) setUp(table);
  });
})();
