// What the server names for web personalization: it finds the SDK in the page, and uses it.
const { events } = window.scCloudSDK || window.scContentSDK;
events.event({ type: 'LIBRARY_RAN' }).then((answer) => {
  window.answer = answer;
});
