// A file of its own: the page's Content-Security-Policy allows no script inside the HTML.
// Addresses are relative, so the page also works behind a proxy that puts a prefix in front.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // A token that was typed in goes with the tab; it is never written to the browser's storage.
  persistAuthorization: false,
  // The default sends the document to a validator on the internet.
  validatorUrl: null,
});
