// One line of a condition: shows the inputs that it has a use for, and offers what fits them.
// `pzLines.of(editor)` returns what the editor of groups calls.
"use strict";
(function () {
  const HINTS = {
    text: "value", pattern: "such as */shoes/*", regex: "such as ^/shoes/[0-9]+$", texts: "one, two, three",
    number: "a number", range: "10 to 20", datetime: "2026-01-31", days: "a number of days",
  };
  const DID = "event", SAW = "saw", CONVERTED = "converted";
  // How often something was done, and whether a goal was reached: no fields have such values.
  const COUNTED = "event", REACHED = "conversion", DEEDS = [COUNTED, REACHED];
  const OF_PROPERTY = ["sum", "average", "distinct"];
  const WHOLE = ["is", "is_not", "is_exactly", "includes", "excludes"];
  let lists = 0;

  // --- what can be chosen, as the server says it for a client ---

  function pickersOf(editor, ready) {
    const choice = document.getElementById("id_client");
    const properties = {};
    const found = { all: {}, properties: propertiesOf };
    let asked = 0;

    async function ask(query) {
      const client = editor.dataset.client || (choice ? choice.value : "");
      if (!client || !editor.dataset.pickers) return null;
      try {
        const response = await fetch(editor.dataset.pickers + "?" + new URLSearchParams({ client, ...query }));
        return response.ok ? await response.json() : null;
      } catch {
        return null; // Everything can be typed as well.
      }
    }

    async function load() {
      const mine = ++asked;
      const answer = await ask({});
      if (mine !== asked) return;
      found.all = answer ? answer.pickers : {};
      for (const name of Object.keys(properties)) delete properties[name];
      ready();
    }

    // Returns what is known so far, and has the lines fitted again once there is more.
    function propertiesOf(event) {
      if (!event) return [];
      if (!(event in properties)) {
        properties[event] = [];
        ask({ event }).then(function (answer) {
          if (!answer || !answer.options.length) return;
          properties[event] = answer.options;
          ready();
        });
      }
      return properties[event];
    }

    if (choice) choice.addEventListener("change", load);
    load();
    return found;
  }

  // --- an input, and what stands beside it ---

  function option(value, label) {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = label;
    return made;
  }

  function chooserOf(input) {
    const beside = input.previousElementSibling;
    return beside && beside.classList.contains("pz-chooser") ? beside : null;
  }

  function plain(input) {
    const chooser = chooserOf(input);
    if (chooser) chooser.remove();
    if (input.pzList) input.pzList.remove();
    input.removeAttribute("list");
    delete input.dataset.offered;
  }

  function stateOf(input, options, kind) {
    return JSON.stringify([kind, options.map((each) => each.value), kind === "one" ? input.value : ""]);
  }

  function quoted(text) {
    return /^"|,|^\s|\s$/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }

  // Lets a value be chosen; kind: "one" in place of the input, "many" adds to it, "open" suggests.
  function offer(input, options, kind, empty) {
    const state = stateOf(input, options, kind);
    const known = chooserOf(input);
    if (input.dataset.offered === state && (known || kind === "open")) {
      if (kind === "one") { input.hidden = true; known.hidden = false; }
      return;
    }
    plain(input);
    input.dataset.offered = state;
    if (kind === "open") {
      suggest(input, options);
      return;
    }
    const chooser = document.createElement("select");
    chooser.className = "pz-chooser " + (kind === "many" ? "pz-chooser-many" : "");
    chooser.setAttribute("aria-label", input.getAttribute("aria-label") || "");
    chooser.append(option("", empty));
    for (const each of options) chooser.append(option(each.value, each.label));
    input.before(chooser);
    if (kind === "many") {
      chooser.addEventListener("change", function () {
        const text = quoted(chooser.value);
        if (text) input.value = input.value.trim() ? input.value.trim().replace(/,$/, "") + ", " + text : text;
        chooser.value = "";
        input.dispatchEvent(new Event("input", { bubbles: true }));
      });
      return;
    }
    const same = options.find((each) => each.value.toLowerCase() === input.value.toLowerCase());
    if (input.value && !same) chooser.append(option(input.value, input.value));
    chooser.value = same ? same.value : input.value;
    input.hidden = true;
    chooser.addEventListener("change", function () {
      input.value = chooser.value;
      // Else it would be made anew, and the keyboard lose its place.
      input.dataset.offered = stateOf(input, options, kind);
    });
  }

  function suggest(input, options) {
    if (!options.length) return;
    const list = document.createElement("datalist");
    list.id = "pz-list-" + ++lists;
    for (const each of options) {
      const made = option(each.value, each.label === each.value ? "" : each.label);
      list.append(made);
    }
    input.pzList = list;
    input.after(list);
    input.setAttribute("list", list.id);
  }

  // --- a line ---

  function shape(row, described) {
    const one = (name) => row.querySelector(":scope > .pz-inputs > " + name);
    const field = one(".pz-field").value;
    const info = described.fields[field] || {};
    const measure = field === DID ? one(".pz-measure").value : "";
    const isOfFlow = field === SAW || field === CONVERTED;
    const isDeed = field === DID || isOfFlow;
    const deed = field === CONVERTED ? REACHED : COUNTED;
    return {
      one, field, info, measure, isDeed, isOfFlow,
      type: measure ? described.measures[measure] : isDeed ? deed : info.type || "",
      hasOf: OF_PROPERTY.includes(measure),
      hasDetail: isDeed || Boolean(info.isPrefix),
    };
  }

  function fits(described, name, type) {
    if (!name || !type) return true;
    const types = described.operators[name].types;
    if (DEEDS.includes(type) || types.some((each) => DEEDS.includes(each))) return types.includes(type);
    return type === "any" || types.includes(type) || types.includes("any");
  }

  function fitOperator(select, described, type, isChosen) {
    const current = select.value;
    const isFit = fits(described, current, type);
    for (const each of select.options) {
      const shows = fits(described, each.value, type) || (!isChosen && each.value === current);
      each.hidden = each.disabled = !shows;
    }
    for (const group of select.querySelectorAll("optgroup")) {
      group.hidden = [...group.children].every((each) => each.hidden);
    }
    if (isChosen && type && (!current || !isFit)) {
      const first = [...select.options].find((each) => each.value && !each.hidden);
      if (first) select.value = first.value;
    }
  }

  function fitValue(value, described, operator, info, pickers) {
    const operand = (described.operators[operator] || {}).operand || "text";
    const picker = info.isPrefix ? null : pickers[info.picker];
    const choices = (info.choices || []).map((each) => ({ value: each, label: each }));
    const options = choices.length ? choices : picker ? picker.options : [];
    value.hidden = operand === "none";
    value.placeholder = HINTS[operand] || "value";
    if (!options.length || !["text", "texts"].includes(operand)) plain(value);
    else if (operand === "texts") offer(value, options, "many", value.closest(".pz-row").dataset.add);
    else if (WHOLE.includes(operator) && (choices.length || picker.isClosed)) offer(value, options, "one", "—");
    else offer(value, options, "open");
  }

  function fitSeen(row, is, pickers) {
    const experiences = (pickers.experiences || { options: [] }).options;
    if (!experiences.length) return;
    offer(is.one(".pz-detail"), experiences, "one", "—");
    const chosen = experiences.find((each) => each.value === is.one(".pz-detail").value);
    const named = (chosen ? (is.field === SAW ? chosen.variants : chosen.goals) : [])
      .map((each) => ({ value: each, label: each }));
    offer(is.one(".pz-variant"), named, "one", is.field === SAW ? row.dataset.any : row.dataset.goal);
  }

  function setUp(editor, ready) {
    const described = JSON.parse(editor.dataset.described);
    const pickers = pickersOf(editor, ready);

    // Shows what the line has a use for. `isChosen`: somebody has just chosen its field or measure.
    function fit(row, isChosen) {
      if (!row.querySelector(":scope > .pz-inputs > .pz-field")) return;
      const is = shape(row, described);
      const detail = is.one(".pz-detail"), operator = is.one(".pz-operator"), value = is.one(".pz-value");
      for (const [name, shows] of [
        [".pz-detail", is.hasDetail], [".pz-variant", is.isOfFlow], [".pz-measure", is.field === DID],
        [".pz-of", is.hasOf], [".pz-within", is.isDeed],
      ]) {
        is.one(name).hidden = !shows;
        const chooser = chooserOf(is.one(name));
        if (chooser && (!shows || !is.isOfFlow)) plain(is.one(name));
      }
      row.querySelector(".pz-where").hidden = is.field !== DID;
      if (isChosen && is.isDeed && !is.one(".pz-within").value) {
        is.one(".pz-within").value = is.field === DID ? "session" : "ever";
        // Where nobody is on a visit, that is no choice.
        if (!is.one(".pz-within").value) is.one(".pz-within").value = "ever";
      }
      for (const each of is.one(".pz-within").options) {
        each.hidden = each.disabled = is.field === CONVERTED && each.value === "session";
      }
      is.one(".pz-days").hidden = !is.isDeed || is.one(".pz-within").value !== "days";
      is.one(".pz-variant").placeholder = is.field === CONVERTED ? "which goal" : "any variant";
      detail.placeholder = is.isOfFlow ? "its friendly ID, e.g. hero_banner"
        : is.field === DID ? "which event, e.g. ADD" : "which, e.g. campaign";
      fitOperator(operator, described, is.type, isChosen);
      if (isChosen && is.type === COUNTED && !value.value && operator.value === "times_at_least") value.value = "1";
      fitValue(value, described, operator.value, is.isDeed ? {} : is.info, pickers.all);
      if (is.isOfFlow) fitSeen(row, is, pickers.all);
      else if (is.field === DID) offer(detail, (pickers.all.events || { options: [] }).options, "open");
      else if (is.info.isPrefix && pickers.all[is.info.picker]) offer(detail, pickers.all[is.info.picker].options, "open");
      else plain(detail);
      if (is.field === DID) {
        const paths = pickers.properties(detail.value.trim());
        if (is.hasOf) offer(is.one(".pz-of"), paths, "open");
        for (const where of row.querySelectorAll(".pz-wherein")) fitWhere(where, paths);
      }
    }

    function fitWhere(where, paths) {
      const operator = where.querySelector(".pz-operator"), value = where.querySelector(".pz-value");
      offer(where.querySelector(".pz-path"), paths, "open");
      fitValue(value, described, operator.value, {}, {});
    }

    // Offers the types of events, and the properties of the one that is meant, in `of` as well.
    function fitEvent(part, event, type, of) {
      offer(type, (pickers.all.events || { options: [] }).options, "open");
      const paths = pickers.properties(event);
      if (of) offer(of, paths, "open");
      for (const where of part.querySelectorAll(".pz-wherein")) fitWhere(where, paths);
    }

    return { fit, fitEvent };
  }

  window.pzLines = { of: setUp };
})();
