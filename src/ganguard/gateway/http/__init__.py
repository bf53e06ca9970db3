"""The HTTP side: routes, authentication, limits on connections and bodies, problem details, and pages."""
