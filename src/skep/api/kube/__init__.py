"""The resource API: the Kubernetes API conventions over the store and the table of kinds."""
