"""Manifests for Kubernetes with KubeRay, and what makes their Serve configs."""
