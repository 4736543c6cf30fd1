// Groups of conditions: adds, nests and removes lines and groups on the spot.
// Without it the page has empty lines to fill in, and the server says what does not fit.
"use strict";
(function () {
  function changed(element) {
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function setUp(editor) {
    const root = editor.querySelector(".pz-root");
    if (!root) return;
    const count = editor.querySelector(".pz-count");
    const lines = window.pzLines.of(editor, fitAll);

    function fitAll() {
      for (const row of root.querySelectorAll(".pz-row")) lines.fit(row, false);
    }

    function made(name) {
      const copy = document.createElement("div");
      copy.innerHTML = editor.querySelector(name).innerHTML.replaceAll("__n__", count.value);
      count.value = Number(count.value) + 1;
      return copy.firstElementChild;
    }

    function button(sign, label, css, act) {
      const one = document.createElement("button");
      one.type = "button";
      one.className = "button pz-tool " + css;
      one.textContent = sign;
      one.title = label;
      one.setAttribute("aria-label", label);
      one.addEventListener("click", act);
      return one;
    }

    function toolsOf(part) {
      const inputs = part.querySelector(":scope > .pz-inputs");
      if (!inputs) return part.querySelector(":scope > .pz-group-head");
      const tools = document.createElement("div");
      tools.className = "pz-line-tools";
      inputs.after(tools);
      return tools;
    }

    // In the place of the box that says without a script that a part goes.
    function removable(part, css) {
      const label = part.querySelector(":scope > .pz-inputs > .pz-remove, :scope > .pz-group-head > .pz-remove");
      if (!label) return null;
      if (label.querySelector(".pz-delete").checked) {
        part.remove();
        return null;
      }
      label.hidden = true;
      const tools = toolsOf(part);
      tools.append(button("×", label.textContent.trim(), css, function () {
        const group = part.parentElement.closest(".pz-group");
        const adder = part.parentElement.parentElement.querySelector(":scope > .pz-adders > .button");
        part.remove();
        changed(count);
        (adder || group.querySelector(".pz-add-row")).focus();
      }));
      return tools;
    }

    function depth(group) {
      let steps = 0;
      for (let at = group; at; at = at.parentElement.closest(".pz-group")) steps += 1;
      return steps;
    }

    function setUpWhere(where) {
      removable(where, "pz-remove-where");
    }

    function setUpRow(row) {
      const tools = removable(row, "pz-remove-row");
      if (!tools) return;
      tools.prepend(button("( )", row.dataset.group, "pz-nest", () => nest(row)));
      for (const where of row.querySelectorAll(".pz-wherein")) setUpWhere(where);
      const add = row.querySelector(".pz-add-where");
      if (add) {
        add.parentElement.hidden = false;
        add.addEventListener("click", function () {
          const where = made(".pz-where-template");
          row.querySelector(".pz-wheres").append(where);
          setUpWhere(where);
          lines.fit(row, false);
          where.querySelector(".pz-path").focus();
          changed(count);
        });
      }
      row.addEventListener("change", function (event) {
        lines.fit(row, event.target.matches(".pz-field, .pz-measure"));
      });
      lines.fit(row, false);
    }

    function setUpGroup(group) {
      removable(group, "pz-remove-group");
      if (!group.isConnected) return;
      const adders = group.querySelector(":scope > .pz-adders");
      const parts = group.querySelector(":scope > .pz-parts");
      adders.hidden = false;
      adders.querySelector(".pz-add-row").addEventListener("click", () => addRow(parts));
      const nesting = adders.querySelector(".pz-add-group");
      nesting.hidden = depth(group) >= Number(editor.dataset.deepest);
      nesting.addEventListener("click", function () {
        const inner = made(".pz-group-template");
        parts.append(inner);
        setUpGroup(inner);
        addRow(inner.querySelector(".pz-parts"));
      });
      for (const part of [...parts.children]) {
        if (part.matches(".pz-group")) setUpGroup(part); else setUpRow(part);
      }
    }

    function addRow(parts) {
      const row = made(".pz-row-template");
      parts.append(row);
      setUpRow(row);
      row.querySelector(".pz-field").focus();
      changed(count);
    }

    // Puts a line into a group of its own, where it stands.
    function nest(row) {
      if (depth(row.closest(".pz-group")) >= Number(editor.dataset.deepest)) return;
      const group = made(".pz-group-template");
      row.replaceWith(group);
      setUpGroup(group);
      group.querySelector(".pz-parts").append(row);
      group.querySelector(".pz-kind-of-group").focus();
      changed(count);
    }

    // Say of each part where it lies: whoever reads the form without sending it asks for this.
    function place() {
      const parts = root.querySelectorAll(".pz-group, .pz-row, .pz-wherein");
      [root, ...parts].forEach(function (part, at) {
        const around = part === root ? null : part.parentElement.closest(".pz-row, .pz-group");
        part.querySelector(":scope > .pz-place").value = at;
        part.querySelector(":scope > .pz-parent").value = around ? numberOf(around) : "";
      });
    }

    function pack() {
      place();
      const inputs = [...editor.querySelectorAll("input[name], select[name]")];
      window.pzPack(inputs, editor.querySelector(".pz-packed"));
    }

    function numberOf(part) {
      const name = part.querySelector(":scope > .pz-part").name;
      return name.slice(editor.dataset.name.length + 1).split("-")[0];
    }

    // The empty parts are for browsers that cannot add one.
    for (const extra of root.querySelectorAll("[data-extra]")) extra.remove();
    setUpGroup(root);
    const parts = root.querySelector(".pz-parts");
    if (!parts.children.length) {
      const row = made(".pz-row-template");
      parts.append(row);
      setUpRow(row);
    }
    editor.closest("form").addEventListener("submit", pack);
    editor.addEventListener("pz-place", place);
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const editor of document.querySelectorAll(".pz-conditions")) setUp(editor);
  });
})();
