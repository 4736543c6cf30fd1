// Sends many inputs as one value: a host may limit how many a form has, and a table has a thousand.
// `pzPack(inputs, packed)` is what forms call as they are submitted; the server unpacks `packed`.
"use strict";
(function () {
  window.pzPack = function (inputs, packed) {
    const values = {};
    const sent = inputs.filter((each) => each !== packed && !each.disabled);
    for (const each of sent) {
      if (each.type !== "checkbox" || each.checked) values[each.name] = each.value;
      each.disabled = true;
    }
    packed.value = JSON.stringify(values);
    packed.disabled = false;
    // Coming back to the page, the inputs are there to be edited again.
    window.addEventListener("pageshow", function () {
      for (const each of sent) each.disabled = false;
      packed.disabled = true;
    }, { once: true });
  };
})();
