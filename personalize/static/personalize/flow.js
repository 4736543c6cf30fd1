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
    guardUnsaved(settings);
  });
})();
