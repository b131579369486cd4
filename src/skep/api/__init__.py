"""Every HTTP face of the control plane. The only room that knows the web framework."""
