"""The skep command."""
