// Shows the OpenAPI document. Without a validator: swagger.io would be told of the document.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
