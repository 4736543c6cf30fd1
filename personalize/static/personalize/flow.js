// A flow's page: shows the friendly ID while the name is typed, and guards unsaved changes.
// The server makes the ID; an untouched one is left to it again when the page is saved.
"use strict";
(function () {
  function liveFriendlyId(settings) {
    const name = document.getElementById("id_name");
    const target = document.getElementById("id_friendly_id");
    const client = document.getElementById("id_client");
    if (!settings.dataset.isNew || !name || !target) return;
    let isAutomatic = target.value === "";
    let timer = null;
    let asked = 0;

    async function ask() {
      const mine = ++asked;
      const query = new URLSearchParams({ name: name.value, client: client ? client.value : "" });
      try {
        const response = await fetch(settings.dataset.friendlyIdUrl + "?" + query);
        if (!response.ok) return;
        const answer = await response.json();
        if (mine === asked && isAutomatic) target.value = name.value.trim() ? answer.friendlyId : "";
      } catch {
        // The server makes the ID when the page is saved.
      }
    }

    function soon() {
      if (!isAutomatic) return;
      clearTimeout(timer);
      timer = setTimeout(ask, 120);
    }

    name.addEventListener("input", soon);
    if (client) client.addEventListener("change", soon);
    target.addEventListener("input", function () {
      isAutomatic = target.value === "";
    });
    target.form.addEventListener("submit", function () {
      if (isAutomatic) target.value = "";
    });
    if (name.value) soon();
  }

  // Of the traffic's rows, those that the mode asks for, that say something, or that are wrong.
  function trafficRows() {
    const mode = document.getElementById("id_traffic_mode");
    const group = document.getElementById("id_exclusion_group");
    if (!mode) return;

    function show(field, isShown) {
      const row = document.querySelector(".pz-traffic .form-row.field-" + field);
      if (row) row.hidden = !isShown && !row.matches(".errors") && !row.querySelector(".errors, .errorlist");
    }

    function follow() {
      const isUniversal = mode.value === "UNIVERSAL";
      const isOptimized = mode.value === "OPTIMIZED";
      const hasGroup = group !== null && group.value !== "";
      show("allocation", !isUniversal && !isOptimized);
      show("bucket_low", isUniversal);
      show("exclusion_group", !isUniversal || hasGroup);
      show("group_low", hasGroup);
      // The weights of all variants, of those too that are added later.
      mode.form.classList.toggle("pz-optimized", isOptimized);
    }

    mode.addEventListener("change", follow);
    if (group) group.addEventListener("change", follow);
    follow();
  }

  function guardUnsaved(settings) {
    const form = settings.closest("form");
    const note = document.querySelector(".pz-unsaved");
    if (!form || !note) return;
    function mark() {
      note.hidden = false;
      for (const button of document.querySelectorAll(".pz-buttons button")) button.disabled = true;
    }
    form.addEventListener("input", mark);
    form.addEventListener("change", mark);
  }

  document.addEventListener("DOMContentLoaded", function () {
    const settings = document.getElementById("pz-form");
    if (!settings) return;
    liveFriendlyId(settings);
    trafficRows();
    guardUnsaved(settings);
  });
})();
