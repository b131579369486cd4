"""What users declare about traffic: Service, Gateway, HTTPRoute and their validators. Pure."""
