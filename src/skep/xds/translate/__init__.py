"""IR to Envoy resources. Pure."""
