"""By what a Serve config and the ingress know the sockets. Imports nothing."""

BUILDER = "serve_app.sockets.app:build_sockets"
"""The `import_path` of the application under /socket.io."""

DEPLOYMENT = "Sockets"
"""Its only deployment."""
