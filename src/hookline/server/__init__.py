"""The server: ASGI application, settings, authentication, error pages, health, metrics."""
