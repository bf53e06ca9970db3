"""The gateway's face to clients and to its operator: routes, keys as they arrive, bounds on what is sent, and pages."""
