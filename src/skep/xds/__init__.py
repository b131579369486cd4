"""From IR to Envoy: a pure translator, a pure stream session, and the server that speaks delta ADS."""
