// Goals of a flow: adds, orders and removes them, and shows the inputs that their kinds use.
// Without it the page has one empty goal to fill in, and the server passes over what has no use.
"use strict";
(function () {
  function changed(element) {
    element.dispatchEvent(new Event("change", { bubbles: true }));
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

  // What goes is only marked, so that numbers stay: the server takes it away.
  function remove(part, box) {
    box.checked = true;
    part.hidden = true;
  }

  function setUp(section) {
    const list = section.querySelector(".pz-goal-list");
    if (!list) return;
    const kinds = JSON.parse(section.dataset.kinds);
    const total = section.querySelector("[name=goals-TOTAL_FORMS]");
    const lines = window.pzLines.of(section, fitAll);
    const words = section.dataset;

    function goals() {
      return [...list.children].filter((each) => !each.hidden);
    }

    function copy(template, name, number) {
      const box = document.createElement("div");
      box.innerHTML = template.innerHTML.replaceAll(name, number);
      return box.firstElementChild;
    }

    function move(part, step, within, after) {
      const to = step < 0 ? part.previousElementSibling : part.nextElementSibling;
      if (!to) return;
      if (step < 0) to.before(part); else to.after(part);
      // What is hidden is gone: it is no place to be at.
      if (to.hidden) { move(part, step, within, after); return; }
      after();
      changed(within);
    }

    function numberGoals() {
      const kept = goals();
      kept.forEach(function (goal, at) {
        goal.querySelector(".pz-goal-place").value = at + 1;
        const no = goal.querySelector(".pz-goal-no");
        no.textContent = at === 0 ? no.dataset.primary : at + 1;
        no.classList.toggle("pz-goal-main", at === 0);
        goal.classList.toggle("pz-goal-first", at === 0);
        goal.querySelector(".pz-goal-tools > .pz-up").disabled = at === 0;
        goal.querySelector(".pz-goal-tools > .pz-down").disabled = at === kept.length - 1;
      });
      section.querySelector(".pz-goal-none").hidden = kept.length > 0;
      section.querySelector(".pz-add-goal").hidden = kept.length >= Number(words.most);
    }

    // --- an event, with comparisons of its properties ---

    function setUpWhere(where, event) {
      const label = where.querySelector(".pz-remove");
      label.hidden = true;
      const tools = document.createElement("div");
      tools.className = "pz-line-tools";
      tools.append(button("×", label.textContent.trim(), "pz-remove-where", function () {
        remove(where, where.querySelector(".pz-delete"));
        changed(event);
      }));
      where.querySelector(".pz-inputs").after(tools);
    }

    function setUpEvent(event, goal) {
      for (const extra of event.querySelectorAll(".pz-wherein[data-extra]")) extra.remove();
      for (const where of event.querySelectorAll(".pz-wherein")) setUpWhere(where, event);
      const adders = event.querySelector(":scope > .pz-where > .pz-adders");
      const count = event.querySelector(".pz-where-count");
      adders.hidden = false;
      adders.firstElementChild.addEventListener("click", function () {
        const template = event.querySelector(":scope > .pz-where-template");
        const where = copy(template, "__where__", count.value);
        count.value = Number(count.value) + 1;
        event.querySelector(".pz-wheres").append(where);
        setUpWhere(where, event);
        fit(goal);
        where.querySelector(".pz-path").focus();
        changed(count);
      });
    }

    // --- steps ---

    function setUpEvents(events, goal) {
      const isMany = Boolean(events.dataset.many);
      const steps = () => [...events.querySelectorAll(":scope > .pz-goal-event")].filter((each) => !each.hidden);

      function place() {
        if (!isMany) return;
        const kept = steps();
        kept.forEach(function (step, at) {
          step.querySelector(".pz-event-place").value = at;
          step.querySelector(".pz-event-no").textContent = at + 1;
          step.querySelector(":scope > .pz-line-tools > .pz-up").disabled = at === 0;
          step.querySelector(":scope > .pz-line-tools > .pz-down").disabled = at === kept.length - 1;
          step.querySelector(":scope > .pz-line-tools > .pz-remove-event").disabled = kept.length <= 2;
        });
        events.querySelector(".pz-add-event").hidden = kept.length >= Number(events.dataset.most);
      }

      function setUpStep(step) {
        setUpEvent(step, goal);
        if (!isMany) return;
        step.querySelector(":scope > .pz-inputs > .pz-remove").hidden = true;
        const tools = document.createElement("div");
        tools.className = "pz-line-tools";
        tools.append(
          button("↑", words.up, "pz-move pz-up", () => move(step, -1, events, place)),
          button("↓", words.down, "pz-move pz-down", () => move(step, 1, events, place)),
          button("×", words.remove, "pz-remove-event", function () {
            remove(step, step.querySelector(".pz-event-delete"));
            place();
            changed(events);
          }),
        );
        step.querySelector(":scope > .pz-inputs").after(tools);
      }

      const count = events.querySelector(".pz-event-count");
      for (const extra of events.querySelectorAll(".pz-goal-event[data-extra]")) extra.remove();
      count.value = steps().length;
      for (const step of steps()) setUpStep(step);
      if (isMany) {
        const add = events.querySelector(".pz-add-event");
        add.parentElement.hidden = false;
        add.addEventListener("click", function () {
          const step = copy(events.querySelector(":scope > .pz-event-template"), "__event__", count.value);
          count.value = Number(count.value) + 1;
          events.querySelector(":scope > .pz-event-template").before(step);
          setUpStep(step);
          place();
          fit(goal);
          step.querySelector(".pz-event-type").focus();
          changed(count);
        });
      }
      place();
    }

    // --- a goal ---

    function fit(goal) {
      const chosen = goal.querySelector(".pz-goal-kind");
      if (!chosen) return;
      const kind = kinds[chosen.value];
      const uses = kind ? kind.uses : [];
      const isPage = uses.includes("page");
      const isByHours = uses.includes("within") && goal.querySelector(".pz-goal-within").value === "hours";
      goal.querySelector(".pz-goal-sentence").textContent = kind ? kind.sentence : "";
      goal.querySelector(".pz-goal-judged").hidden = !kind;
      for (const part of goal.querySelectorAll(".pz-goal-part[data-part]")) {
        const name = part.dataset.part;
        part.hidden = !uses.includes(name) || (name === "unit" && isByHours);
      }
      goal.querySelector("[name$=-hours]").hidden = !isByHours;
      goal.querySelector(".pz-goal-cap").hidden = !goal.querySelector(".pz-goal-cap-kind").value;
      const label = goal.querySelector("[data-part=event] > .pz-goal-label");
      label.dataset.event = label.dataset.event || label.textContent;
      label.textContent = isPage ? label.dataset.page : label.dataset.event;
      for (const part of goal.querySelectorAll(".pz-goal-part[data-part]:not([hidden]) .pz-goal-event")) {
        const type = part.querySelector(".pz-event-type");
        const isFixed = isPage && part.closest("[data-part=event]");
        type.parentElement.hidden = Boolean(isFixed);
        const of = { event: "value", base: "baseValue" }[part.closest("[data-part]").dataset.part];
        const path = of ? goal.querySelector("[data-part=" + of + "] .pz-goal-of") : null;
        lines.fitEvent(part, isFixed ? "VIEW" : type.value.trim(), type, path);
      }
    }

    function fitAll() {
      for (const goal of goals()) fit(goal);
    }

    function setUpGoal(goal) {
      for (const events of goal.querySelectorAll(".pz-goal-events")) setUpEvents(events, goal);
      const tools = document.createElement("div");
      tools.className = "pz-goal-tools";
      tools.append(
        button("↑", words.up, "pz-move pz-up", () => move(goal, -1, section, numberGoals)),
        button("↓", words.down, "pz-move pz-down", () => move(goal, 1, section, numberGoals)),
        button("×", words.remove, "pz-remove-goal", function () {
          remove(goal, goal.querySelector("[name$=-DELETE]"));
          numberGoals();
          changed(section);
          section.querySelector(".pz-add-goal").focus();
        }),
      );
      goal.querySelector(".pz-goal-head").append(tools);
      goal.addEventListener("change", () => fit(goal));
      if (goal.querySelector(":scope > .pz-goal-head [name$=-DELETE]").checked) goal.hidden = true;
      fit(goal);
    }

    function pack() {
      const inputs = [...section.querySelectorAll("input[name], select[name]")];
      const ofGoals = inputs.filter((each) => !/^goals-[A-Z_]+$/.test(each.name));
      window.pzPack(ofGoals, section.querySelector(".pz-goals-packed"));
    }

    section.classList.add("pz-scripted");
    const extras = list.querySelectorAll(":scope > [data-extra]");
    total.value = Number(total.value) - extras.length;
    for (const extra of extras) extra.remove();
    for (const goal of [...list.children]) setUpGoal(goal);
    numberGoals();
    const add = section.querySelector(".pz-add-goal");
    add.parentElement.hidden = false;
    add.addEventListener("click", function () {
      const goal = copy(section.querySelector(":scope > .pz-goal-template"), "__prefix__", total.value);
      total.value = Number(total.value) + 1;
      goal.removeAttribute("data-extra");
      list.append(goal);
      setUpGoal(goal);
      numberGoals();
      goal.querySelector(".pz-goal-name input").focus();
      changed(total);
    });
    section.closest("form").addEventListener("submit", pack);
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const section of document.querySelectorAll(".pz-goals")) setUp(section);
  });
})();
