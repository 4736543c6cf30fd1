// The table of a decision: adds, moves and removes rows and columns on the spot, offers what fits
// a column, and sends the many inputs of a table as one value.
// Without it the page has an empty row and empty columns, and boxes that remove when it is saved.
"use strict";
(function () {
  const HINTS = {
    text: "value", pattern: "such as */shoes/*", texts: "one, two, three", number: "a number",
    range: "10 to 20", datetime: "2026-01-31",
  };
  const ANSWERS = { TEXT: "", NUMBER: "a number", BOOLEAN: "yes or no", JSON: "JSON" };

  function chosen(select) {
    return select.options[select.selectedIndex] || { dataset: {} };
  }

  function changed(element) {
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function setUp(editor) {
    const grid = editor.querySelector(".pz-grid");
    if (!grid) return;
    const heads = grid.querySelector(".pz-heads");
    const rows = grid.querySelector(".pz-grid-rows");
    const tests = editor.querySelector(".pz-test-rows");
    const one = (name) => editor.querySelector(name);
    const every = (name, root) => Array.from((root || editor).querySelectorAll(name));
    const count = (name) => Number(one(name).value);

    function fill(template, replacements, tag) {
      let html = one(template).innerHTML;
      for (const [key, value] of Object.entries(replacements)) html = html.replaceAll(key, value);
      const holder = document.createElement(tag);
      holder.innerHTML = html;
      return Array.from(holder.children);
    }

    function live(name) {
      return every(name, heads).filter((head) => !head.dataset.gone);
    }

    function cellsOf(head) {
      const at = Array.from(heads.children).indexOf(head);
      return Array.from(rows.children).map((row) => row.children[at]);
    }

    function fitInput(head) {
      const field = chosen(head.querySelector(".pz-in-field"));
      const type = field.dataset.type || "";
      const isWhole = field.value === "*";
      head.querySelector(".pz-in-detail").hidden = !field.dataset.detail;
      for (const cell of cellsOf(head)) {
        cell.querySelector(".pz-compare").hidden = isWhole;
        cell.querySelector(".pz-tree").hidden = !isWhole;
        for (const option of cell.querySelector(".pz-operator").options) {
          const types = (option.dataset.types || "").split(" ");
          const fits = !option.value || !type || type === "any" || types.includes(type) ||
            types.includes("any");
          option.hidden = option.disabled = !fits && !option.selected;
        }
        fitCell(cell);
      }
    }

    function fitCell(cell) {
      const operator = chosen(cell.querySelector(".pz-operator"));
      const value = cell.querySelector(".pz-value");
      const operand = operator.value ? operator.dataset.operand : "none";
      value.hidden = operand === "none" && !value.value;
      value.placeholder = HINTS[operand] || "value";
    }

    function fitOutput(head) {
      const type = head.querySelector(".pz-out-type").value;
      for (const cell of [head, ...cellsOf(head)]) {
        const plain = cell.querySelector(".pz-plain-value");
        plain.hidden = type === "OFFER";
        plain.placeholder = cell === head ? "default" : ANSWERS[type] || "";
        cell.querySelector(".pz-offer-value").hidden = type !== "OFFER";
      }
    }

    function fitPolicy() {
      const policy = one(".pz-policy-select").value;
      one(".pz-aggregator").hidden = policy !== "COLLECT";
      for (const cell of every(".pz-priority", grid)) cell.hidden = policy !== "PRIORITY";
    }

    function fitCallable() {
      const select = one(".pz-callable");
      one(".pz-table-part").hidden = Boolean(select && select.value);
    }

    function number() {
      let at = 0;
      for (const row of rows.children) {
        if (!row.hidden) row.querySelector(".pz-no").textContent = String(++at);
      }
    }

    function button(label, title, name, act) {
      const made = document.createElement("button");
      made.type = "button";
      made.className = "button " + name;
      made.textContent = label;
      made.title = title;
      made.setAttribute("aria-label", title);
      made.addEventListener("click", act);
      return made;
    }

    function removable(part, gone) {
      const box = part.querySelector(".pz-delete");
      const label = box.closest(".pz-remove");
      label.hidden = true;
      label.after(button("×", label.textContent.trim(), "pz-x", function () {
        box.checked = true;
        gone();
        changed(box);
      }));
      if (box.checked) gone();
    }

    function setUpColumn(head) {
      const isIn = head.classList.contains("pz-in");
      removable(head, function () {
        head.dataset.gone = "1";
        for (const cell of [head, ...cellsOf(head)]) cell.hidden = true;
      });
      head.addEventListener("change", () => (isIn ? fitInput(head) : fitOutput(head)));
      (isIn ? fitInput : fitOutput)(head);
    }

    function setUpRow(row) {
      removable(row, function () { row.hidden = true; number(); });
      const tools = row.querySelector(".pz-tools");
      const move = (towards) => function () {
        let other = row[towards];
        while (other && other.hidden) other = other[towards];
        if (!other) return;
        if (towards === "previousElementSibling") other.before(row); else other.after(row);
        number();
        changed(row.querySelector(".pz-delete"));
      };
      tools.prepend(
        button("↑", "Move up", "pz-move", move("previousElementSibling")),
        button("↓", "Move down", "pz-move", move("nextElementSibling")));
      row.addEventListener("change", function (event) {
        if (event.target.matches(".pz-operator")) fitCell(event.target.closest("td"));
      });
    }

    function addRow() {
      if (rows.children.length >= Number(editor.dataset.mostRows)) return;
      const at = count(".pz-row-count");
      const row = document.createElement("tr");
      row.className = "pz-grid-row";
      row.dataset.row = String(at);
      const no = document.createElement("th");
      no.className = "pz-no";
      no.scope = "row";
      row.append(no);
      for (const head of every(".pz-in", heads)) {
        row.append(...fill(".pz-t-cell", { __r__: at, __i__: head.dataset.in }, "tr"));
      }
      for (const head of every(".pz-out", heads)) {
        row.append(...fill(".pz-t-value", { __r__: at, __o__: head.dataset.out }, "tr"));
      }
      row.append(...fill(".pz-t-end", { __r__: at }, "tr"));
      // A row that somebody asked for is meant, even if it asks nothing.
      for (const mark of every("[name$='-new']", row)) mark.remove();
      rows.append(row);
      one(".pz-row-count").value = at + 1;
      setUpRow(row);
      for (const head of every(".pz-in", heads)) {
        if (head.dataset.gone) row.children[Array.from(heads.children).indexOf(head)].hidden = true;
        else fitInput(head);
      }
      for (const head of every(".pz-out", heads)) {
        if (head.dataset.gone) row.children[Array.from(heads.children).indexOf(head)].hidden = true;
        else fitOutput(head);
      }
      fitPolicy();
      number();
      const first = row.querySelector("select:not([hidden]), input:not([hidden])");
      if (first) first.focus();
      changed(one(".pz-row-count"));
    }

    function addColumn(isIn) {
      const kind = isIn ? "in" : "out";
      if (live(".pz-" + kind).length >= Number(editor.dataset.mostColumns)) return;
      const at = count(".pz-" + kind + "-count");
      const mark = isIn ? "__i__" : "__o__";
      const [head] = fill(".pz-t-" + kind, { [mark]: at }, "tr");
      const next = isIn ? heads.querySelector(".pz-out") : heads.querySelector(".pz-priority");
      const place = Array.from(heads.children).indexOf(next);
      for (const row of rows.children) {
        const [cell] = fill(isIn ? ".pz-t-cell" : ".pz-t-value",
          { __r__: row.dataset.row, [mark]: at }, "tr");
        row.children[place].before(cell);
      }
      next.before(head);
      one(".pz-" + kind + "-count").value = at + 1;
      setUpColumn(head);
      head.querySelector("select, input").focus();
      changed(one(".pz-" + kind + "-count"));
    }

    function setUpTest(row) {
      removable(row, function () { row.hidden = true; });
    }

    function addTest() {
      const at = count(".pz-test-count");
      const [row] = fill(".pz-t-test", { __t__: at }, "tbody");
      tests.append(row);
      one(".pz-test-count").value = at + 1;
      setUpTest(row);
      row.querySelector("input").focus();
      changed(one(".pz-test-count"));
    }

    function dropExtras() {
      // A new decision keeps its first column of each kind, its first row and no test case.
      for (const [name, total] of [[".pz-in", ".pz-in-count"], [".pz-out", ".pz-out-count"]]) {
        const columns = every(name, heads);
        if (columns.length < 2) continue;
        const last = columns[columns.length - 1];
        for (const cell of cellsOf(last)) cell.remove();
        last.remove();
        one(total).value = columns.length - 1;
      }
      if (rows.children.length > 1) {
        rows.lastElementChild.remove();
        one(".pz-row-count").value = rows.children.length;
      }
      tests.lastElementChild.remove();
      one(".pz-test-count").value = tests.children.length;
    }

    function pack() {
      one(".pz-order").value = every(".pz-grid-row").map((row) => row.dataset.row).join(",");
      window.pzPack(every("input[name], select[name], textarea[name]"), one(".pz-packed"));
    }

    dropExtras();
    for (const head of every(".pz-in, .pz-out", heads)) setUpColumn(head);
    for (const row of rows.children) setUpRow(row);
    for (const row of tests.children) setUpTest(row);
    number();
    fitPolicy();
    fitCallable();
    for (const each of every(".pz-script-only")) each.hidden = false;
    one(".pz-policy-select").addEventListener("change", fitPolicy);
    if (one(".pz-callable")) one(".pz-callable").addEventListener("change", fitCallable);
    one(".pz-add-row").addEventListener("click", addRow);
    one(".pz-add-in").addEventListener("click", () => addColumn(true));
    one(".pz-add-out").addEventListener("click", () => addColumn(false));
    one(".pz-add-test").addEventListener("click", addTest);
    editor.closest("form").addEventListener("submit", pack);
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const editor of document.querySelectorAll(".pz-decision")) setUp(editor);
  });
})();
