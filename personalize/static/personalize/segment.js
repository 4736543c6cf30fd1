// A segment's page: asks how many guests its conditions would have, and how far it is being built.
"use strict";
(function () {
  function setUpEstimate(box) {
    const button = box.querySelector("button"), answer = box.querySelector(".pz-estimated");
    box.hidden = false;
    button.addEventListener("click", async function () {
      button.disabled = true;
      for (const editor of button.form.querySelectorAll(".pz-conditions")) editor.dispatchEvent(new Event("pz-place"));
      answer.textContent = "…";
      try {
        const response = await fetch(box.dataset.url, { method: "POST", body: new FormData(button.form) });
        const said = await response.json();
        answer.textContent = said.text || said.problems.join(" ");
      } catch (error) {
        answer.textContent = "?";
      }
      button.disabled = false;
    });
  }

  function follow(panel) {
    const timer = setInterval(async function () {
      const response = await fetch(panel.dataset.standingUrl);
      if (!response.ok) return;
      const said = await response.json();
      panel.querySelector(".pz-members").textContent = said.members;
      panel.querySelector(".tr-pill").textContent = said.state;
      const building = panel.querySelector(".pz-building");
      building.textContent = said.building;
      building.hidden = !said.building;
      if (!said.building) clearInterval(timer);
    }, 3000);
  }

  document.addEventListener("DOMContentLoaded", function () {
    for (const box of document.querySelectorAll(".pz-estimate")) setUpEstimate(box);
    for (const panel of document.querySelectorAll("[data-standing-url]")) follow(panel);
  });
})();
