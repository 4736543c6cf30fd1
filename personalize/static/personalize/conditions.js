// Rows of conditions: adds and removes them on the spot, and offers what fits the chosen field.
// Without it the page has empty rows to fill in, and the server says what does not fit.
"use strict";
(function () {
  const HINTS = {
    text: "value", pattern: "such as */shoes/*", regex: "such as ^/shoes/[0-9]+$", texts: "one, two, three", number: "a number",
    range: "10 to 20", datetime: "2026-01-31", days: "a number of days",
  };

  function chosen(select) {
    return select.options[select.selectedIndex] || { dataset: {} };
  }

  function fit(row) {
    const field = row.querySelector(".pz-field");
    const detail = row.querySelector(".pz-detail");
    const operator = row.querySelector(".pz-operator");
    const value = row.querySelector(".pz-value");
    const type = chosen(field).dataset.type || "";
    detail.hidden = !chosen(field).dataset.detail;
    const what = chosen(field).dataset.what;
    detail.placeholder = what === "saw" ? "its friendly ID, e.g. hero_banner"
      : what ? "which event, e.g. ADD" : "which, e.g. campaign";
    for (const option of operator.options) {
      const types = (option.dataset.types || "").split(" ");
      const fits = !option.value || !type || types.includes(type) ||
        (type !== "event" && types.includes("any")) || (type === "any" && !types.includes("event"));
      option.hidden = option.disabled = !fits && !option.selected;
    }
    const operand = chosen(operator).dataset.operand || "text";
    value.hidden = operand === "none";
    value.placeholder = HINTS[operand] || "value";
  }

  function changed(element) {
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function setUpRow(row) {
    const box = row.querySelector(".pz-delete");
    if (box) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button pz-remove-row";
      button.textContent = box.closest(".pz-remove").textContent.trim();
      button.addEventListener("click", function () {
        box.checked = true;
        row.hidden = true;
        changed(box);
      });
      box.closest(".pz-remove").hidden = true;
      row.querySelector(".pz-inputs").append(button);
      row.hidden = box.checked;
    }
    row.addEventListener("change", function () { fit(row); });
    fit(row);
  }

  function fill(template, replacements) {
    const copy = document.createElement("div");
    let html = template.innerHTML;
    for (const [name, value] of Object.entries(replacements)) html = html.replaceAll(name, value);
    copy.innerHTML = html;
    return copy.firstElementChild;
  }

  function total(group) {
    return group.querySelector("[name$='-TOTAL_FORMS']");
  }

  function addRow(group) {
    const count = total(group);
    const row = fill(group.querySelector(".pz-row-template"), { __prefix__: count.value });
    count.value = Number(count.value) + 1;
    group.querySelector(".pz-rows").append(row);
    setUpRow(row);
    row.querySelector(".pz-field").focus();
    changed(count);
  }

  function setUpGroup(group) {
    for (const row of group.querySelectorAll(".pz-rows > .pz-row")) setUpRow(row);
    const add = group.querySelector(".pz-add-row");
    add.parentElement.hidden = false;
    add.addEventListener("click", function () { addRow(group); });
  }

  function dropExtras(editor) {
    // The empty row and group are for browsers that cannot add one.
    const groups = editor.querySelectorAll(".pz-groups > .pz-group");
    const last = groups[groups.length - 1];
    if (groups.length > 1 && last.dataset.extra) {
      last.remove();
      const count = editor.querySelector(".pz-count");
      count.value = Number(count.value) - 1;
    }
    for (const group of editor.querySelectorAll(".pz-groups > .pz-group")) {
      const rows = group.querySelectorAll(".pz-rows > .pz-row");
      const extra = rows[rows.length - 1];
      if (rows.length > 1 && extra.dataset.extra) {
        extra.remove();
        total(group).value = rows.length - 1;
      }
    }
  }

  function setUpEditor(editor) {
    const adder = editor.querySelector(".pz-add-group");
    if (!adder) return;
    dropExtras(editor);
    for (const group of editor.querySelectorAll(".pz-groups > .pz-group")) setUpGroup(group);
    const root = editor.querySelector(".pz-root");
    const count = editor.querySelector(".pz-count");
    function showRoot() { root.hidden = Number(count.value) < 2; }
    adder.parentElement.hidden = false;
    adder.addEventListener("click", function () {
      if (Number(count.value) >= Number(editor.dataset.mostGroups)) return;
      const group = fill(editor.querySelector(".pz-group-template"), { __group__: count.value });
      count.value = Number(count.value) + 1;
      editor.querySelector(".pz-groups").append(group);
      setUpGroup(group);
      group.querySelector(".pz-field").focus();
      showRoot();
      changed(count);
    });
    showRoot();
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const editor of document.querySelectorAll(".pz-conditions")) setUpEditor(editor);
  });
})();
