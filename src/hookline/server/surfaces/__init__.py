"""Management APIs in the styles that people already use. Each surface parses, calls a service and renders."""
